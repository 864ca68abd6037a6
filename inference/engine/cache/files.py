"""The blocks of the cache as files, one each.

    blocks/<model>/<first byte of the key>/<key>.whole.safetensors     or .part. when it is not complete

Nothing here is locked: whoever changes files does it inside a transaction of the index.
"""

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from inference.engine.cache.safetensors import Corrupt, Label, header_bytes, read_label

FOLDER_MODE = 0o700
MODEL = re.compile(r"[0-9a-f]{1,128}")
NAME = re.compile(r"([0-9a-f]{64})\.(whole|part)\.safetensors")
PREFIXES = 256
LABEL_BYTES = 16 * 1024  # read at once of a file's beginning: the header of a 64-layer model takes 12 KB


@dataclass(frozen=True, slots=True)
class Place:
    """A block's file, as its name tells it."""

    model: str
    key: bytes
    complete: bool


class Files:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        self._new: set[Path] = set()

    def path(self, place: Place) -> Path:
        name = f"{place.key.hex()}.{'whole' if place.complete else 'part'}.safetensors"
        return self._leaf(place.model, place.key[0]) / name

    def models(self) -> list[str]:
        with os.scandir(self._folder) as found:
            return sorted(each.name for each in found if MODEL.fullmatch(each.name))

    def leaf(self, model: str, prefix: int) -> set[Place]:
        """What the names in one folder say there is."""
        try:
            names = os.listdir(self._leaf(model, prefix))  # noqa: PTH208 - names are all that is wanted of thousands
        except FileNotFoundError:
            return set()
        matches = (NAME.fullmatch(name) for name in names)
        return {Place(model, bytes.fromhex(match[1]), match[2] == "whole") for match in matches if match}

    def publish(self, written: Path, place: Place) -> None:
        path = self.path(place)
        for folder in (path.parent.parent, path.parent):
            if not folder.is_dir():
                folder.mkdir(mode=FOLDER_MODE)
                self._new.add(folder.parent)
        written.rename(path)

    def settle(self, place: Place) -> None:
        """Have the disk know by its name what was published."""
        for folder in (self.path(place).parent, *self._new):
            with contextlib.suppress(FileNotFoundError):  # cleared meanwhile
                _sync_folder(folder)
        self._new.clear()

    def read(self, place: Place) -> bytearray:
        """Raises FileNotFoundError, OSError, or Corrupt when it becomes shorter while it is read."""
        with self.path(place).open("rb", buffering=0) as file:
            data = bytearray(os.fstat(file.fileno()).st_size)
            view, at = memoryview(data), 0
            while at < len(data):
                count = file.readinto(view[at:])
                if not count:
                    raise Corrupt("it is too short")
                at += count
        return data

    def label(self, place: Place) -> tuple[Label, int]:
        """What a file says it holds, and its size in bytes; its tensors are not read. Raises OSError or Corrupt."""
        with self.path(place).open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            beginning = file.read(LABEL_BYTES)
            missing = header_bytes(beginning) - len(beginning)
            label = read_label(beginning + file.read(max(0, missing)), size)
        if Place(label.model, label.key, label.complete) != place:
            raise Corrupt("another block is in its place")
        return label, size

    def remove(self, place: Place) -> bool:
        """Whether it was there."""
        try:
            self.path(place).unlink()
        except FileNotFoundError:
            return False
        return True

    def drop_leaf(self, model: str, prefix: int) -> int:
        """Remove one folder with all that is in it; returns bytes."""
        freed, leaf = 0, self._leaf(model, prefix)
        with contextlib.suppress(FileNotFoundError):
            for path in leaf.iterdir():
                freed += path.stat().st_size
                path.unlink()
            leaf.rmdir()
        with contextlib.suppress(OSError):  # others are left in it, or it is gone
            leaf.parent.rmdir()
        return freed

    def _leaf(self, model: str, prefix: int) -> Path:
        return self._folder / model / f"{prefix:02x}"


def free_bytes(folder: Path) -> int:
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
