"""Generators that stayed after their job: idle, with their weights, under their lease, until another job of the model
comes, their time is over, or somebody needs the memory.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import structlog
from asgiref.sync import sync_to_async

from memory import LocalNode, Shortage, Worker
from memory.models import Lease
from memory.words import IDLE
from videos import options

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Generator:
    """A worker of one model's folder. `lease` is as the ledger last gave it."""

    worker: Worker
    lease: Lease
    model: str
    folder: str
    idle_since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Place:
    """Where a job runs: under a lease for a worker to be started, or in a generator that stayed."""

    lease: Lease
    generator: Generator | None = None


class Generators:
    """Of one node. Reached from the event loop, but for `take`."""

    def __init__(self, node: LocalNode) -> None:
        self._node = node
        self._idle: list[Generator] = []
        self._ending: dict[asyncio.Task[None], Generator] = {}

    def take(self, folder: str) -> Generator | None:
        """One that holds this folder's weights, if any does. From any thread."""
        for generator in reversed(self._idle):
            if generator.folder == folder and not generator.worker.gone.is_set():
                try:
                    self._idle.remove(generator)
                except ValueError:  # it is leaving
                    continue
                return generator
        return None

    async def keep(self, generator: Generator) -> None:
        """Its job is done: it may stay."""
        if not options.IDLE_SECONDS.value:
            return self.dismiss(generator, "no generator stays on this server")
        holder = f"{generator.model[:190]}{IDLE}"
        rename = sync_to_async(self._node.ledger.resize)
        generator.lease = await rename(generator.lease, generator.lease.bytes, holder)
        await self._node.hand_over(generator.worker, generator.lease)
        generator.idle_since = time.monotonic()
        self._idle.append(generator)
        return None

    def look(self) -> None:
        """Those whose time is over leave; those that died are forgotten."""
        old = time.monotonic() - options.IDLE_SECONDS.value
        for generator in list(self._idle):
            if generator.worker.gone.is_set():
                self._idle.remove(generator)
            elif generator.idle_since <= old:
                self.dismiss(generator, "no other job came in the time it may stay")

    def dismiss(self, generator: Generator, reason: str) -> None:
        """Have it leave, without waiting for it."""
        if generator in self._idle:
            self._idle.remove(generator)
        log.info("Generator leaves.", model=generator.model, reason=reason, lease=generator.lease.bytes)
        leaving = asyncio.ensure_future(_leave(generator, reason))
        self._ending[leaving] = generator
        leaving.add_done_callback(self._forget)

    async def give_way(self, shortage: Shortage) -> int:
        """Somebody needs memory: the longest idle leave. Returns the bytes of leases that are on their way back."""
        coming = sum(generator.lease.bytes for generator in self._ending.values())
        for generator in list(self._idle):
            if coming >= shortage.bytes:
                break
            self.dismiss(generator, "its memory is needed")
            coming += generator.lease.bytes
        return coming

    async def end(self) -> None:
        for generator in list(self._idle):
            self.dismiss(generator, "the node stops working on the queue")
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _forget(self, leaving: asyncio.Task[Any]) -> None:
        self._ending.pop(leaving, None)


async def _leave(generator: Generator, reason: str) -> None:
    await generator.worker.stop(reason)
    await generator.worker.wait()
