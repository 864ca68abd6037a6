"""Bringing a prefix back, a few blocks at a time, so that others are served meanwhile."""

import time
from collections import deque
from concurrent.futures import Executor, Future
from typing import Any

from inference.engine.cache.blocks import Chain
from inference.engine.cache.entry import Entry
from inference.engine.cache.hot import Hot
from inference.engine.cache.layers import Filling
from inference.engine.cache.plan import Found, Plan
from inference.engine.cache.tiers import Tiers

AHEAD = 4  # blocks that are read from the SSD before it is their turn
BATCH_BYTES = 32 * 1024**2  # put in at once; what is held twice meanwhile


class Gone(Exception):
    """A block that was there is not, or is damaged."""


class Restore:
    """Blocks that are hot are held from the start; those on the SSD are read by `reader`, ahead of their turn."""

    def __init__(self, plan: Plan, chain: Chain, tiers: Tiers, filling: Filling, reader: Executor) -> None:
        self._chain, self._tiers, self._filling, self._reader = chain, tiers, filling, reader
        self._left = deque((found, tiers.hot.get(found.key) if found.where == "hot" else None) for found in plan.found)
        self._reading: deque[Future[Entry | None]] = deque()
        self._to_read = deque(found for found in plan.found if found.where == "ssd")
        self._warmed: list[Hot] = []
        self.position = plan.position
        self.tokens = {"hot": 0, "ssd": 0}

    def step(self, seconds: float, *, warm: bool) -> list[Any] | None:
        """Go on for so long; the cache when it is whole. `warm`: what comes from the SSD becomes hot too.

        Raises Gone."""
        ends, waiting = time.monotonic() + seconds, 0
        while self._left:
            found, block = self._left.popleft()
            block = block or self._read(found)
            try:
                self._filling.add(block)
                cache = None if self._left else self._filling.finish(block)
            except (KeyError, ValueError) as wrong:
                raise Gone(f"A block does not fit this model's layers: {wrong}.") from wrong
            self.tokens[found.where] += found.position - found.begin
            if warm and found.where == "ssd":
                self._tiers.hot.put(block)
            waiting += block.size
            if cache is not None or waiting >= BATCH_BYTES:
                self._filling.compute()
                waiting = 0
            if cache is not None:
                return cache
            if time.monotonic() > ends:
                break
        self._filling.compute()
        return None

    def _read(self, found: Found) -> Hot:
        if found.where == "hot":
            raise Gone("A hot block was given back.")
        while self._to_read and len(self._reading) < AHEAD:
            self._reading.append(self._reader.submit(self._tiers.fetch, self._to_read.popleft()))
        block = self._tiers.warmed(self._reading.popleft().result(), found, self._chain)
        if block is None:
            raise Gone("A block on the SSD is gone or damaged.")
        return block
