"""After a crash: have files and rows agree, in the background, one folder after another."""

import fcntl
import os
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from inference.engine.cache.counts import Counts
from inference.engine.cache.files import PREFIXES, Place
from inference.engine.cache.store import Store

AT_ONCE = 32  # mended in one transaction: other processes wait that long
FILE_MODE = 0o600


class Reconciler(threading.Thread):
    """One process of those that share a folder does it; the others have nothing to do."""

    def __init__(self, open_store: Callable[[], Store], folder: Path, counts: Counts) -> None:
        super().__init__(name="cache-reconcile", daemon=True)
        self._open, self._folder, self._counts = open_store, folder, counts
        self._stopping = threading.Event()

    def stop(self, timeout: float) -> None:
        self._stopping.set()
        self.join(timeout)

    def run(self) -> None:
        try:
            with self._open() as store:
                self._alone(store)
        except (sqlite3.Error, OSError) as error:
            self._counts.add("index_errors")
            sys.stderr.write(f"The cache in {self._folder} was not looked through: {error}\n")

    def _alone(self, store: Store) -> None:
        fd = os.open(self._folder / "reconcile.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        else:
            store.sweep()
            for model in sorted({held.model for held in store.index.held()} | set(store.files.models())):
                self._model(store, model)
        finally:
            os.close(fd)

    def _model(self, store: Store, model: str) -> None:
        for prefix in range(PREFIXES):
            differing = sorted(store.files.leaf(model, prefix) ^ store.index.leaf(model, prefix), key=_parts_last)
            for begin in range(0, len(differing), AT_ONCE):
                if self._stopping.is_set():
                    return
                self._mend(store, differing[begin : begin + AT_ONCE])

    def _mend(self, store: Store, places: list[Place]) -> None:
        with store.index.changing():
            done = [store.mend(place) for place in places]
        for what in filter(None, done):
            self._counts.add(what)


def _parts_last(place: Place) -> tuple[bool, bytes]:
    """A whole block, once it is known, is why a part of it can go."""
    return not place.complete, place.key
