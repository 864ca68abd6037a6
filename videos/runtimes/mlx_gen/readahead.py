"""Reading weight files into the page cache in order, before MLX reads them tensor by tensor.

mlx-gen does the same (WeightPrefetcher, 0.38.0) but cannot be interrupted.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

CHUNK_BYTES = 64 * 1024 * 1024
# More than half of the machine's memory would push out what was just read (mlx-gen's WeightPrefetcher, same bound).
MEMORY_SHARE = 0.5


def warm(files: Sequence[Path], checkpoint: Callable[[], None]) -> None:
    """Read the files once. `checkpoint` runs after every chunk and may raise."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if sum(path.stat().st_size for path in files) > MEMORY_SHARE * memory:
        return
    buffer = bytearray(CHUNK_BYTES)
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                checkpoint()
