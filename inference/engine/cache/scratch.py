"""Where files are written before they are what their name says: a folder for each process, under its lock."""

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from inference.engine.cache.safetensors import Buffer

FILE_MODE, FOLDER_MODE = 0o600, 0o700
MOST_PARTS = 512  # of one writev; systems allow 1024


class Scratch:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        self._own: Path | None = None
        self._lock = -1

    def write(self, parts: Sequence[Buffer]) -> Path:
        """A new file with these bytes, on the disk for good. Raises OSError, and then leaves nothing."""
        path = self._place() / secrets.token_hex(8)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        try:
            _write_all(fd, [memoryview(part) for part in parts])
            os.fsync(fd)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(fd)
        return path

    def sweep(self) -> None:
        """Remove what processes that are gone were writing."""
        for folder in self._folder.iterdir():
            if folder != self._own:
                _remove_if_left(folder)

    def close(self) -> None:
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            os.close(self._lock)
            self._own = None

    def _place(self) -> Path:
        while self._own is None:
            own = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}"
            own.mkdir(mode=FOLDER_MODE)
            with contextlib.suppress(FileNotFoundError):  # swept before it was locked
                self._lock = _lock_in(own)
                self._own = own
        return self._own


def _lock_in(folder: Path) -> int:
    """Raises FileNotFoundError when the folder was swept meanwhile."""
    fd = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    fcntl.flock(fd, fcntl.LOCK_EX)
    if not (folder / "lock").exists():
        os.close(fd)
        raise FileNotFoundError(folder)
    return fd


def _remove_if_left(folder: Path) -> None:
    """Its process holds the lock inside while it lives."""
    with contextlib.suppress(OSError):
        folder.rmdir()  # ended before it had a lock
        return
    try:
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # who was sweeping it died
        shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(fd)


def _write_all(fd: int, parts: list[memoryview]) -> None:
    parts = [part for part in parts if part.nbytes]
    while parts:
        written = os.writev(fd, parts[:MOST_PARTS])
        while parts and written >= parts[0].nbytes:
            written -= parts.pop(0).nbytes
        if parts:
            parts[0] = parts[0][written:]
