"""The logs of this machine's processes and workers, as files: which there are, their end, and what follows it."""

import logging
import logging.handlers
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from django.conf import settings

from fmlx_site.logs import as_json
from fmlx_site.server_options import LOG_FILE_BYTES, LOG_FILES

TAIL_BYTES = 128 * 1024
MOST_LISTED = 200


@dataclass(frozen=True, slots=True)
class LogFile:
    """`name` is its path below the folder of logs."""

    name: str
    bytes: int
    changed_at: datetime

    @classmethod
    def of(cls, path: Path) -> Self:
        kept = path.stat()
        name = path.relative_to(settings.FMLX.logs).as_posix()
        return cls(name, kept.st_size, datetime.fromtimestamp(kept.st_mtime, UTC))


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole lines; `end` is where the next piece begins."""

    text: str
    end: int


def keep_log(name: str) -> None:
    """Write this process's log to a file as well, JSON lines, as large as the loaded settings say."""
    folder = settings.FMLX.logs
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name}.log"
    most, count = LOG_FILE_BYTES.value, LOG_FILES.value
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=most, backupCount=count, encoding="utf-8")
    handler.setFormatter(as_json())
    logging.getLogger().addHandler(handler)


def log_files() -> list[LogFile]:
    """The ones that were written last first: of processes, then of workers."""
    found = []
    for path in settings.FMLX.logs.rglob("*.log"):
        try:
            found.append(LogFile.of(path))
        except OSError:
            continue  # it was purged while they were listed
    return sorted(found, key=lambda one: ("/" in one.name, -one.changed_at.timestamp()))[:MOST_LISTED]


def find(name: str) -> Path | None:
    """The file of a log that is listed; nothing outside the folder of logs."""
    folder = settings.FMLX.logs.resolve()
    path = (folder / name).resolve()
    return path if path.suffix == ".log" and path.is_relative_to(folder) and path.is_file() else None


def read(path: Path, begin: int | None = None) -> Piece:
    """From `begin` on, or the end of it. A file that is shorter than that was begun anew."""
    with path.open("rb") as stream:
        whole = stream.seek(0, os.SEEK_END)
        start = begin if begin is not None and begin <= whole else max(0, whole - TAIL_BYTES)
        stream.seek(start)
        data = stream.read(TAIL_BYTES)
    if begin is None and start:
        skipped = data.find(b"\n") + 1
        start, data = start + skipped, data[skipped:]
    data = data[: data.rfind(b"\n") + 1] if begin is not None else data
    return Piece(data.decode(errors="replace"), start + len(data))


def matching(text: str, wanted: str) -> Iterator[str]:
    wanted = wanted.casefold()
    return (line for line in text.splitlines() if wanted in line.casefold())
