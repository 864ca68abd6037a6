"""One node per name and home: a file lock that the system lets go of when its holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memory.errors import NodeRunning


@contextmanager
def hold_lock(path: Path, name: str) -> Iterator[None]:
    """Raises NodeRunning with the pid of the holder."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise NodeRunning(
                f"The node {name!r} runs already, as process {file.read().strip() or 'unknown'} ({path} is locked). "
                "Stop it, or give this one another name with FMLX_NODE_NAME."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
