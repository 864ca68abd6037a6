"""The last tier of the prefix cache: blocks on the disk, shared by the engines of one machine.

Nothing here stops an engine: what cannot be read is a miss, what cannot be written is dropped, and both are counted.
"""

import errno
import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from inference.engine.cache.counts import Counts
from inference.engine.cache.entry import Entry
from inference.engine.cache.files import MODEL, Place
from inference.engine.cache.opened import Opened
from inference.engine.cache.quota import DEFAULT_SHARE, Quota
from inference.engine.cache.reconcile import Reconciler
from inference.engine.cache.safetensors import SIZES, Corrupt
from inference.engine.cache.store import Store
from inference.engine.cache.waiting import Waiting
from inference.engine.cache.writer import GONE, Writer

QUEUE_BYTES = 256 * 1024**2
PATIENCE_SECONDS = 0.25
LOOK_SECONDS = 0.25  # a lookup waits so long for the index, and then it is a miss
ROTTEN = {errno.EIO, getattr(errno, "EBADMSG", errno.EIO)}
KEY_BYTES = 32


class SsdTier:
    """One for each process, for any of its threads.

    `folder` may not be there yet. The cache holds at most the smaller of `quota_bytes` and `share_of_free` of what the
    disk has free besides it; blocks wait for the disk in at most `queue_bytes` of memory. `clock` gives seconds of the
    epoch; it is only noted, and nothing is decided by it.
    """

    def __init__(
        self,
        folder: Path,
        quota_bytes: int,
        *,
        queue_bytes: int = QUEUE_BYTES,
        share_of_free: float = DEFAULT_SHARE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._counts = Counts()
        self._quota = Quota(folder, quota_bytes, share_of_free)
        self._waiting = Waiting(queue_bytes)
        self._opened = Opened(folder, clock, self._counts, LOOK_SECONDS)
        self._opened.store()
        self._writer = Writer(Opened(folder, clock, self._counts), self._waiting, self._quota, self._counts)
        self._open = partial(Store, folder, clock)
        self._reconciler = Reconciler(self._open, folder, self._counts)
        self._closed = False
        self._writer.start()
        self._reconciler.start()

    def have(self, keys: Sequence[bytes], model: str) -> list[bool | None]:
        """For each key: True for a complete block, False for an incomplete one, None for none. Waiting ones count."""
        # These first: what waits no more, or is suspected no more, the index knows by then.
        waiting = {key: entry.complete for key in keys if (entry := self._waiting.get(key, model))}
        suspects = [key for key in keys if self._writer.suspicion(key, model)]
        there: dict[bytes, bool] = {}
        try:
            if store := self._opened.store():
                there = store.index.have(keys, model)
        except sqlite3.Error:
            self._counts.add("index_errors")
        for key in suspects:
            there.pop(key, None)
        for key, complete in waiting.items():
            there[key] = complete or there.get(key, False)
        return [there.get(key) for key in keys]

    def read(self, key: bytes, model: str) -> Entry | None:
        """A block, verified as a whole; None is a miss, counted by its reason. Its tensors are views of one buffer."""
        if entry := self._waiting.get(key, model):
            self._counts.add("hits_queued")
        else:
            entry = self._load(key, model)
        if entry:
            self._counts.add("hits")
            self._writer.note_use(entry)
        return entry

    def _load(self, key: bytes, model: str) -> Entry | None:
        store = self._opened.store()
        known = self._writer.suspicion(key, model)
        if store is None or known:
            self._counts.add(known or "miss_unreadable")
            return None
        for complete in (True, False, True):  # the last: it was completed between the first two
            place = Place(model, key, complete)
            try:
                return store.load(place)
            except FileNotFoundError:
                continue
            except Corrupt:
                self._counts.add("miss_corrupt")
                self._writer.suspect(place, "miss_corrupt")
                return None
            except OSError as error:
                self._counts.add("miss_unreadable")
                if error.errno in ROTTEN:
                    self._writer.suspect(place, "miss_unreadable")
                return None
        self._miss(store, key, model)
        return None

    def _miss(self, store: Store, key: bytes, model: str) -> None:
        try:
            complete = store.index.have([key], model).get(key)
        except sqlite3.Error:
            complete = None
        if complete is None:
            self._counts.add("miss_absent")
            return
        self._counts.add(GONE)
        self._writer.suspect(Place(model, key, complete), GONE)

    def write(self, entry: Entry) -> bool:
        """Have a block written. False: it is dropped, and counted, since the disk is behind (after at most 250 ms),
        takes nothing now, or the tier is closed. The entry's buffers must not change until it is written.

        Raises:
            ValueError: it is not an entry that could be read again.
        """
        _check(entry)
        refused = "dropped_closed" if self._closed or not self._writer.is_alive() else None
        if refused is None and self._writer.paused:
            refused = "dropped_disk_full"
        if refused is None and not self._waiting.offer(entry, PATIENCE_SECONDS):
            refused = "dropped_queue_full"
        self._counts.add(refused or "saved")
        return refused is None

    def figures(self) -> dict[str, int]:
        """Counts of this process since it started, and what the folder holds, for all processes. Bytes."""
        entries = held = limit = 0
        queued, queued_bytes = len(self._waiting), self._waiting.bytes  # first: what waits no more is in the total
        try:
            if store := self._opened.store():
                entries, held = store.index.total()
                limit = self._quota.limit(held)
        except (sqlite3.Error, OSError):
            self._counts.add("index_errors")
        return {
            **self._counts.read(),
            "entries": entries,
            "bytes": held,
            "quota_bytes": self._quota.setting,
            "limit_bytes": limit,
            "queued": queued,
            "queued_bytes": queued_bytes,
            "paused": int(self._writer.paused),
        }

    def clear(self, model: str | None = None) -> int:
        """Remove a model's blocks, or all, waiting ones too; returns the bytes that the disk has back.

        Raises:
            sqlite3.Error, OSError, ValueError
        """
        self._waiting.drop(model, PATIENCE_SECONDS)
        with self._open() as store:
            return store.clear(model)

    def set_quota(self, quota_bytes: int) -> None:
        """Holds from the next block on; what is too much is evicted from now on, in the background."""
        self._quota.setting = quota_bytes
        self._writer.keep_up_now()

    def close(self, timeout: float) -> None:
        """Write what waits, for `timeout` seconds at most; what is left is dropped. Call it once."""
        self._closed = True
        until = time.monotonic() + timeout
        self._reconciler.stop(timeout)
        self._writer.stop(max(0.0, until - time.monotonic()))
        self._counts.add("dropped_closed", self._waiting.drop())
        self._opened.close()


def _check(entry: Entry) -> None:
    keys = [entry.key] if entry.parent is None else [entry.key, entry.parent]
    if not MODEL.fullmatch(entry.model) or any(len(key) != KEY_BYTES for key in keys):
        raise ValueError("The key of a block has 32 bytes, and its model is named in lower-case hex.")
    for name, tensor in entry.tensors.items():
        if tensor.dtype not in SIZES:
            raise ValueError(f"{name} is of {tensor.dtype}, which safetensors does not have.")
        if memoryview(tensor.data).nbytes != SIZES[tensor.dtype] * math.prod(tensor.shape):
            raise ValueError(f"{name} does not have the bytes that {tensor.shape} of {tensor.dtype} take.")
