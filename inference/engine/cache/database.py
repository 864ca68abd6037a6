"""The index's file: opened by several processes at once, and made again when it is damaged and nobody else has it."""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE_MODE = 0o600
NAME = "index.sqlite3"
DAMAGED = "index.damaged"
PAGE_CACHE_KIB = 16 * 1024  # the inner pages of a million rows take 2 MiB
WAL_PAGES = 256  # of 4 KiB, after which what was logged goes into the file: some 30 saved blocks

SCHEMA = """
CREATE TABLE IF NOT EXISTS models (
    id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
    entries INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0, used_at REAL NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS entries (
    model INTEGER NOT NULL, key BLOB NOT NULL, parent BLOB, size INTEGER NOT NULL, complete INTEGER NOT NULL,
    used INTEGER NOT NULL, PRIMARY KEY (model, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entries_used ON entries (used);
CREATE TRIGGER IF NOT EXISTS entered AFTER INSERT ON entries BEGIN
    UPDATE models SET entries = entries + 1, bytes = bytes + new.size WHERE id = new.model;
END;
CREATE TRIGGER IF NOT EXISTS resized AFTER UPDATE OF size ON entries BEGIN
    UPDATE models SET bytes = bytes - old.size + new.size WHERE id = new.model;
END;
CREATE TRIGGER IF NOT EXISTS left AFTER DELETE ON entries BEGIN
    UPDATE models SET entries = entries - 1, bytes = bytes - old.size WHERE id = old.model;
END;
"""


def connect(folder: Path, busy_seconds: float) -> tuple[sqlite3.Connection, int]:
    """A connection, and a file descriptor that says as long as it is open that somebody uses the index.

    Raises:
        sqlite3.Error, OSError
    """
    with _alone_at(folder / "opening.lock"):
        using = os.open(folder / "using.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            if _nobody_else(using) and not _usable(folder):
                _remove(folder)
            fcntl.flock(using, fcntl.LOCK_SH)
            return _prepared(folder, busy_seconds), using
        except BaseException:
            os.close(using)
            raise


def note_damage(folder: Path) -> None:
    """The index is to be made again from the files by the next who has it for itself."""
    (folder / DAMAGED).touch(mode=FILE_MODE)


def _prepared(folder: Path, busy_seconds: float) -> sqlite3.Connection:
    os.close(os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE))  # SQLite's others take its mode
    base = sqlite3.connect(folder / NAME, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        base.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KIB}")
        base.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        base.executescript(SCHEMA)
    except BaseException:
        base.close()
        raise
    return base


def _usable(folder: Path) -> bool:
    if (folder / DAMAGED).exists():
        return False
    try:
        _prepared(folder, 0).close()
    except sqlite3.OperationalError:  # of the moment: no room, no permission
        return True
    except sqlite3.DatabaseError:
        return False
    return True


def _remove(folder: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        (folder / f"{NAME}{ending}").unlink(missing_ok=True)
    (folder / DAMAGED).unlink(missing_ok=True)


def _nobody_else(using: int) -> bool:
    try:
        fcntl.flock(using, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _alone_at(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
