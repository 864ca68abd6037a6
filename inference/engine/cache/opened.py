"""A store that is opened when it is first needed, and again when that failed: a full or missing disk comes back."""

import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from inference.engine.cache.counts import Counts
from inference.engine.cache.index import BUSY_SECONDS
from inference.engine.cache.store import Store

RETRY_SECONDS = 2.0


class Opened:
    def __init__(
        self, folder: Path, clock: Callable[[], float], counts: Counts, busy_seconds: float = BUSY_SECONDS
    ) -> None:
        self._busy = busy_seconds
        self._folder, self._clock, self._counts = folder, clock, counts
        self._store: Store | None = None
        self._try_at = 0.0

    def store(self) -> Store | None:
        if self._store is None and time.monotonic() >= self._try_at:
            try:
                self._store = Store(self._folder, self._clock, busy_seconds=self._busy)
            except (sqlite3.Error, OSError) as error:
                self._try_at = time.monotonic() + RETRY_SECONDS
                self._counts.add("index_errors")
                sys.stderr.write(f"The cache in {self._folder} cannot be opened: {error}\n")
        return self._store

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
            self._try_at = float("inf")
