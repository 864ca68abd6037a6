"""Blocks on their way to the disk: bounded in bytes, and readable until they are there."""

import threading
import time
from collections import OrderedDict

from inference.engine.cache.entry import Entry

Name = tuple[str, bytes]  # model and key


class Waiting:
    """One thread takes, any may offer. The block that is being written stays until it is `done`."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._changed = threading.Condition()
        self._entries: OrderedDict[Name, Entry] = OrderedDict()
        self._taken: Entry | None = None
        self._unwanted: Entry | None = None
        self._rung = self._behind = False
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes, model: str) -> Entry | None:
        with self._changed:
            return self._entries.get((model, key))

    def offer(self, entry: Entry, patience: float) -> bool:
        """Whether it waits now, or one as good does. Waits itself for room, up to `patience` seconds; after that was in
        vain nobody waits until half of the room is free: a slow disk is paid for once, and not with every block.
        """
        name, until = (entry.model, entry.key), time.monotonic() + patience
        with self._changed:
            while True:
                there = self._entries.get(name)
                if there and there.complete >= entry.complete:
                    return True
                if self.bytes + entry.size <= self._most:
                    break
                if entry.size > self._most or self._behind:
                    return False
                self._behind = not self._changed.wait(max(0.0, until - time.monotonic()))
            self._put(name, entry)
        return True

    def take(self, patience: float) -> Entry | None:
        """The next, which waits on until it is done; None after `patience` seconds, or when the bell was rung."""
        with self._changed:
            if not self._entries and not self._rung:
                self._changed.wait(patience)
            self._rung = False
            self._taken = next(iter(self._entries.values()), None)
            return self._taken

    def done(self, entry: Entry) -> bool:
        """It is on the disk, or will never be. Returns whether it is still wanted there."""
        with self._changed:
            name = (entry.model, entry.key)
            if self._entries.get(name) is entry:
                self._remove(name)
            self._taken = None
            self._changed.notify_all()
            return entry is not self._unwanted

    def ring(self) -> None:
        """Have `take` return soon."""
        with self._changed:
            self._rung = True
            self._changed.notify_all()

    def drop(self, model: str | None = None, patience: float = 0.0) -> int:
        """Forget a model's blocks, or all; returns how many. The one that is being written is not wanted any more
        either, and is waited for up to `patience` seconds.
        """
        until = time.monotonic() + patience
        with self._changed:
            going = [n for n, each in self._entries.items() if each is not self._taken and model in (None, each.model)]
            for name in going:
                self._remove(name)
            self._changed.notify_all()
            if self._taken and model in (None, self._taken.model):
                self._unwanted = self._taken
            while self._taken and model in (None, self._taken.model):
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    break
        return len(going)

    def _put(self, name: Name, entry: Entry) -> None:
        if name in self._entries:
            self._remove(name)
        self._entries[name] = entry
        self.bytes += entry.size
        self._changed.notify_all()

    def _remove(self, name: Name) -> None:
        self.bytes -= self._entries.pop(name).size
        self._behind = self._behind and self.bytes > self._most // 2
