"""Files and index together: a block is saved, read, evicted and mended so that the two agree."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from inference.engine.cache.entry import Entry
from inference.engine.cache.files import FOLDER_MODE, MODEL, PREFIXES, Files, Place
from inference.engine.cache.index import BUSY_SECONDS, Index
from inference.engine.cache.quarantine import Quarantine
from inference.engine.cache.safetensors import Corrupt, decode, encode, length
from inference.engine.cache.scratch import Scratch

MOST_EVICTED = 64  # at once: other processes wait that long


class TooLarge(Exception):
    """A block that is larger than the cache may be."""


class Store:
    """For one thread. Everything may raise sqlite3.Error and OSError; then nothing of a block is left, or all."""

    def __init__(
        self, folder: Path, clock: Callable[[], float] = time.time, *, busy_seconds: float = BUSY_SECONDS
    ) -> None:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self.folder, self._clock = folder, clock
        self.files = Files(folder / "blocks")
        self.index = Index(folder, busy_seconds=busy_seconds)
        self._scratch = Scratch(folder / "scratch")
        self._quarantine = Quarantine(folder / "quarantine")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        self._scratch.close()
        self.index.close()

    # saving

    def save(self, entry: Entry, limit: int) -> tuple[bool, int]:
        """Whether it was written (False: it was there), and how many were evicted for it.

        Raises:
            TooLarge: it would not fit into `limit`, in bytes, by itself.
        """
        if self._has_as_good(entry):
            return False, 0
        parts = encode(entry)
        if length(parts) > limit:
            raise TooLarge
        written = self._scratch.write(parts)
        try:
            evicted = self._publish(entry, written, length(parts), limit)
        finally:
            written.unlink(missing_ok=True)
        self.files.settle(Place(entry.model, entry.key, entry.complete))
        return evicted is not None, evicted or 0

    def _has_as_good(self, entry: Entry) -> bool:
        there = self.index.have([entry.key], entry.model).get(entry.key)
        return there is not None and there >= entry.complete

    def _publish(self, entry: Entry, written: Path, size: int, limit: int) -> int | None:
        """How many were evicted; None when somebody else was quicker."""
        place = Place(entry.model, entry.key, entry.complete)
        published = False
        try:
            with self.index.changing():
                if self._has_as_good(entry):
                    return None
                self.files.publish(written, place)
                published = True
                self._enter(place, entry.parent, size, entry.name)
                return self.trim(limit)
        except (sqlite3.Error, OSError):
            if published:
                self.files.remove(place)
            raise

    def _enter(self, place: Place, parent: bytes | None, size: int, name: str) -> None:
        self.index.put(place, parent, size, name, self._clock())
        if place.complete:
            self.files.remove(Place(place.model, place.key, complete=False))

    # giving room

    def trim(self, limit: int, most: int = MOST_EVICTED) -> int:
        """Evict what was unused for the longest until the cache is within `limit` bytes, but not more than `most`."""
        with self.index.changing():
            over, going = self.index.total()[1] - limit, []
            if over <= 0:
                return 0
            for place, size in self.index.oldest(most):
                if over <= 0:
                    break
                over -= size
                going.append(place)
            for place in going:  # before their rows: without room on the disk no row can be removed
                self.files.remove(place)
            self.index.drop(going)
        return len(going)

    def discard(self, place: Place) -> None:
        with self.index.changing():
            self.files.remove(place)
            self.index.drop([place])

    def clear(self, model: str | None = None) -> int:
        """Remove a model's blocks, or all; returns bytes. Raises ValueError when this cannot be a model."""
        if model is not None and not MODEL.fullmatch(model):
            raise ValueError(f"{model!r} is not the fingerprint of a model.")
        known = {held.model for held in self.index.held()} | set(self.files.models())
        freed = self._quarantine.empty(model)
        for each in sorted(known) if model is None else [model]:
            for prefix in range(PREFIXES):
                with self.index.changing():
                    freed += self.files.drop_leaf(each, prefix)
                    self.index.drop_leaf(each, prefix)
            with self.index.changing():
                self.index.forget(each)
        return freed

    # using

    def touch(self, used: Iterable[tuple[bytes, str]]) -> None:
        """Keys and their models, in the order of their use."""
        with self.index.changing():
            for key, model in used:
                self.index.touch(key, model, self._clock())

    def load(self, place: Place) -> Entry:
        """Raises FileNotFoundError, or Corrupt."""
        return decode(self.files.read(place), place.key, place.model)

    # mending

    def verify(self, place: Place) -> bool:
        """Read a file that is there; False when it is damaged. It is set aside then."""
        with contextlib.suppress(FileNotFoundError):  # evicted meanwhile
            try:
                self.load(place)
            except (Corrupt, OSError):
                return not self.set_aside(place)
        return True

    def set_aside(self, place: Place) -> bool:
        """Move a file that cannot be read out of the way. False when it can be read after all, or is gone."""
        with self.index.changing():
            with contextlib.suppress(Corrupt, OSError):
                self.load(place)
                return False
            self.index.drop([place])
            return self._quarantine.take(self.files.path(place), place.model)

    def mend(self, place: Place) -> str | None:
        """Have row and file agree: "adopted" a file, "removed" one that is no block, "forgotten" a row, or nothing."""
        with self.index.changing():
            known = self.index.have([place.key], place.model).get(place.key)
            try:
                label, size = self.files.label(place)
            except FileNotFoundError:
                return "forgotten" if self.index.drop([place]) else None
            except Corrupt:
                self.index.drop([place])
                self.files.remove(place)
                return "removed"
            if known is None or place.complete > known:
                self._enter(place, label.parent, size, label.name)
                return "adopted"
            if known is True and not place.complete:
                self.files.remove(place)
                return "removed"
            return None

    def sweep(self) -> None:
        self._scratch.sweep()
