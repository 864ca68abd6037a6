"""The safetensors container: enough of it to know that a file is whole, and to write one byte for byte the same.

Format: 8 bytes little-endian header length, a JSON header, the data (https://github.com/huggingface/safetensors).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memory.protocol import WorkerFailed

MAX_HEADER_BYTES = 100_000_000  # the limit of the reference implementation


def require_whole(path: Path) -> None:
    """Check that a weight file has all the bytes its header promises.

    Raises:
        WorkerFailed: `model_invalid`, when it is unreadable or cut short.
    """
    size = path.stat().st_size
    promised = _promised_bytes(path)
    if size != promised:
        raise WorkerFailed(
            "model_invalid",
            f"The weight file {path} has {size:,} bytes where its header promises {promised:,}. "
            "Its download did not finish; fetch it again.",
        )


def _promised_bytes(path: Path) -> int:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(length) if length <= MAX_HEADER_BYTES else b""
    try:
        header: dict[str, Any] = json.loads(text)
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkerFailed("model_invalid", f"{path} is not a safetensors file: {error}.") from error
    return 8 + length + max(ends, default=0)


def write(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> None:
    """Write `{name: (dtype, shape, little-endian bytes)}`, names in order, so that equal tensors give equal files."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape, data) in sorted(tensors.items()):
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, (_, _, data) in sorted(tensors.items()):
            file.write(data)
