"""What a step is made from, as one SHA-256: the code, the settings that count, the weights, and earlier steps."""

import functools
import hashlib
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videos.runtimes.mlx_gen.versions import versions


@functools.cache
def code_version() -> str:
    """Of this runtime's own source and the packages it computes with: what other code made is not taken up."""
    sources = {path.name: path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))}
    return digest({"sources": sources, "versions": versions(), "machine": platform.machine()})


def key(step: str, **inputs: Any) -> str:
    return digest({"step": step, "code": code_version(), "inputs": inputs})


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def fingerprint(files: Sequence[Path], config: Any) -> str:
    """Of a component: its settings, and of each weight file the name, size, time of change and header (names, shapes
    and places of all tensors). Hashing the data itself would take a minute a job for the largest models.
    """
    return digest({"config": config, "files": [_fingerprint(path) for path in files]})


def _fingerprint(path: Path) -> list[Any]:
    status = path.stat()
    with path.open("rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    return [path.name, status.st_size, status.st_mtime_ns, hashlib.sha256(header).hexdigest()]
