"""The thread that changes what is on disk: saves, evicts, mends, and notes what was used."""

import errno
import sqlite3
import sys
import threading
import time
from collections import deque

from inference.engine.cache.counts import Counts
from inference.engine.cache.entry import Entry
from inference.engine.cache.files import Place, free_bytes
from inference.engine.cache.opened import Opened
from inference.engine.cache.quota import Quota
from inference.engine.cache.store import MOST_EVICTED, Store, TooLarge
from inference.engine.cache.waiting import Waiting

UPKEEP_SECONDS = 1.0
GRACE_SECONDS = 0.5  # for the save that has begun, when the time to close is over
PAUSE_SECONDS = 1.0  # after the disk refused: then it is asked again
SPARE_SHARE = 20  # of what is held, evicted when the disk is full
MOST_USES = 65_536  # noted between two upkeeps; the oldest are forgotten
GONE = "miss_gone"
Use = tuple[bytes, bytes | None, str]  # key, parent, model


class Writer(threading.Thread):
    def __init__(self, opened: Opened, waiting: Waiting, quota: Quota, counts: Counts) -> None:
        super().__init__(name="cache-writer", daemon=True)
        self.paused = False
        self._opened, self._waiting, self._quota, self._counts = opened, waiting, quota, counts
        self._uses: deque[Use] = deque(maxlen=MOST_USES)
        self._suspects: dict[Place, str] = {}
        self._kept_up = self._resume_at = 0.0
        self._over = False
        self._needed = 0
        self._stop_at: float | None = None

    # from any thread

    def note_use(self, entry: Entry) -> None:
        self._uses.append((entry.key, entry.parent, entry.model))

    def suspect(self, place: Place, why: str) -> None:
        """A file that could not be read, or is gone: look at it again, with nobody else changing it."""
        self._suspects.setdefault(place, why)
        self._waiting.ring()

    def suspicion(self, key: bytes, model: str) -> str | None:
        """Why a block cannot be had until it was looked at."""
        if not self._suspects:
            return None
        return self._suspects.get(Place(model, key, True)) or self._suspects.get(Place(model, key, False))

    def stop(self, timeout: float) -> None:
        """Write what waits, for `timeout` seconds at most."""
        self._stop_at = time.monotonic() + timeout
        self._waiting.ring()
        self.join(timeout + GRACE_SECONDS)

    def keep_up_now(self) -> None:
        """The quota is another, or something was removed."""
        self._kept_up = 0.0
        self._waiting.ring()

    # its own

    def run(self) -> None:
        while self._stop_at is None or (len(self._waiting) and time.monotonic() < self._stop_at):
            entry = self._waiting.take(0.0 if self._over else UPKEEP_SECONDS)
            store = self._opened.store()
            if store:
                self._look_at_suspects(store)
            if entry:
                self._save(store, entry)
                if not self._waiting.done(entry):
                    self._discard(store, entry)
            if store:
                self._keep_up(store)
        if store := self._opened.store():
            self._note_uses(store)
        self._opened.close()

    def _save(self, store: Store | None, entry: Entry) -> None:
        if store is None or self.paused:
            self._counts.add("dropped_error")
            return
        try:
            self._attempt(store, entry)
        except (OSError, sqlite3.Error) as error:
            if not _says_full(error):
                self._fail(error, "dropped_error")
                return
            self._counts.add("disk_full")
            try:
                self._give_room(store, entry)
                self._attempt(store, entry)
            except (OSError, sqlite3.Error) as still:
                self._needed = 2 * entry.size
                self._fail(still, "dropped_disk_full")

    def _discard(self, store: Store | None, entry: Entry) -> None:
        """The cache was cleared while this was written."""
        try:
            if store:
                store.discard(Place(entry.model, entry.key, entry.complete))
        except (OSError, sqlite3.Error):
            self._counts.add("index_errors")

    def _attempt(self, store: Store, entry: Entry) -> None:
        held = store.index.total()[1]
        limit = self._quota.limit(held)
        if held + entry.size > limit:
            self._note_uses(store)
        try:
            written, evicted = store.save(entry, limit)
        except TooLarge:
            self._counts.add("dropped_too_large")
            return
        self.note_use(entry)
        self._counts.add("persisted" if written else "already")
        self._counts.add("evicted", evicted)

    def _give_room(self, store: Store, entry: Entry) -> None:
        held = store.index.total()[1]
        self._counts.add("evicted", store.trim(held - max(2 * entry.size, held // SPARE_SHARE)))
        store.index.shrink()

    def _fail(self, error: Exception, dropped: str) -> None:
        """Write nothing for a while, and let what waits go: a disk that refuses must not hold up the engine."""
        sys.stderr.write(f"The cache stopped writing: {error}. It goes on by itself when the disk takes more.\n")
        self.paused, self._resume_at = True, time.monotonic() + PAUSE_SECONDS
        self._counts.add("write_errors")
        self._counts.add(dropped)
        self._counts.add(dropped, self._waiting.drop())

    def _keep_up(self, store: Store) -> None:
        """Now and then: note what was used, stay within the quota, see whether the disk takes more."""
        if not self._over and time.monotonic() - self._kept_up < UPKEEP_SECONDS:
            return
        self._kept_up = time.monotonic()
        self._note_uses(store)
        try:
            held = store.index.total()[1]
            evicted = store.trim(self._quota.limit(held))
            self._over = evicted == MOST_EVICTED
            self._counts.add("evicted", evicted)
            if self.paused and time.monotonic() >= self._resume_at and free_bytes(store.folder) >= self._needed:
                self.paused, self._needed = False, 0
        except (OSError, sqlite3.Error):
            self._over = False
            self._counts.add("index_errors")

    def _note_uses(self, store: Store) -> None:
        uses = [self._uses.popleft() for _ in range(len(self._uses))]
        last = list(dict.fromkeys(reversed(uses)))[::-1]  # each where it was used last
        parents = {(parent, model) for _, parent, model in last}
        tails = [(key, model) for key, _, model in last if (key, model) not in parents]
        try:
            if tails:
                store.touch(tails)
        except sqlite3.Error:
            self._counts.add("index_errors")

    def _look_at_suspects(self, store: Store) -> None:
        for place, why in list(self._suspects.items()):
            try:
                if why == GONE:
                    self._mend(store, place)
                else:
                    self._set_aside(store, place)
            except (OSError, sqlite3.Error):
                self._counts.add("index_errors")
            del self._suspects[place]

    def _set_aside(self, store: Store, place: Place) -> None:
        if store.set_aside(place):
            self._counts.add("quarantined")
            sys.stderr.write(f"A block of the cache could not be read and was set aside: {place.key.hex()}.\n")

    def _mend(self, store: Store, place: Place) -> None:
        if done := store.mend(place):
            self._counts.add(done)


def _says_full(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
