"""The files of one video: nothing is seen under its name before all of them are finished."""

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Any


class Output:
    """Hands out temporary paths in a folder; `commit` names them, and leaving without it removes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: dict[str, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        return self._parts.setdefault(name, self._folder / f".{name}.part")

    def commit(self) -> None:
        """Flush every file to disk and give it its name, in the order they were asked for."""
        for name, part in self._parts.items():
            _sync(part)
            part.replace(self._folder / name)
        self._parts.clear()
        _sync(self._folder)

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for part in self._parts.values():
            part.unlink(missing_ok=True)


def describe(path: Path, name: str, media_type: str) -> dict[str, Any]:
    """The manifest entry of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": name, "bytes": path.stat().st_size, "sha256": digest, "media_type": media_type}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
