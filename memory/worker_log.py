"""What a worker prints, kept up to a bound: its beginning and its end stay, and what is between is counted.

The worker writes to a pipe that a thread of the node empties, so that no flood reaches the disk.
"""

import contextlib
import os
import re
import threading
import time
from pathlib import Path
from typing import BinaryIO, Self

import structlog

log = structlog.get_logger(__name__)
HEAD_BYTES = 256 * 1024  # a load with its warnings takes some 10 KiB
TAIL_BYTES = 768 * 1024  # cut to this when there is twice as much, so that a cut is paid for by as many bytes read
MARK = "\n--- {:>15} bytes were left out here ---\n"
MARK_BYTES = len(MARK.format(0))
MOST_BYTES = HEAD_BYTES + MARK_BYTES + 2 * TAIL_BYTES
READ_BYTES = 64 * 1024
PACE_SECONDS = 0.002  # after the first cut, between reads: who floods is slowed to some 30 MB/s, and the node is not
DRAIN_SECONDS = 2.0


class WorkerLog:
    """`entry` is the descriptor to give to a process as its stdout and stderr."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._turning = threading.Lock()
        self._begin(path, file)
        self._exit, self.entry = os.pipe()
        self._thread = threading.Thread(target=self._empty, name=f"log-{path.stem}", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Go on with the log at `path`, or begin it. Raises OSError."""
        return cls(path, _open(path))

    def go_on_in(self, path: Path) -> None:
        """The worker begins something else: from now on its log is that one. Raises OSError."""
        file = _open(path)
        with self._turning:
            self._file.close()
            self._begin(path, file)

    def _begin(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        self._size = file.seek(0, os.SEEK_END)
        self._left_out = self._read_mark()

    def close_entry(self) -> None:
        """The process has its own copy; the log ends when the last copy is closed."""
        os.close(self.entry)

    def finish(self) -> None:
        """Wait until what was printed is written. Blocks up to 2 s: a process that left its group may hold the pipe."""
        self._thread.join(DRAIN_SECONDS)

    def _empty(self) -> None:
        with os.fdopen(self._exit, "rb", buffering=0) as pipe:
            while printed := pipe.read(READ_BYTES):
                with self._turning, contextlib.suppress(OSError):  # a full disk stops the log, not the worker
                    self._keep(printed)
                if self._left_out:
                    time.sleep(PACE_SECONDS)
        self._file.close()

    def _keep(self, printed: bytes) -> None:
        self._file.seek(self._size)
        self._file.write(printed)
        self._file.flush()
        self._size += len(printed)
        if self._size > MOST_BYTES - READ_BYTES:
            self._cut()

    def _cut(self) -> None:
        if not self._left_out:
            log.warning("worker_log_cut", path=str(self._path), message="It prints more than is kept.")
        self._file.seek(self._size - TAIL_BYTES)
        tail = self._file.read(TAIL_BYTES).partition(b"\n")[2]
        between = self._size - HEAD_BYTES - len(tail)
        self._left_out += between - (MARK_BYTES if self._left_out else 0)
        self._file.seek(HEAD_BYTES)
        self._file.write(MARK.format(self._left_out).encode() + tail)
        self._size = self._file.tell()
        self._file.truncate()
        self._file.flush()

    def _read_mark(self) -> int:
        self._file.seek(HEAD_BYTES)
        found = re.fullmatch(rb"\n--- +(\d+) bytes were left out here ---\n", self._file.read(MARK_BYTES))
        return int(found[1]) if found else 0


def _open(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, mode=0o600), "r+b")
