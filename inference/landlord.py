"""Leases for engines: how they come by them, and which idle engine gives its own up when memory is short."""

import asyncio
import contextlib
from pathlib import Path

import structlog

from inference.client import Event
from inference.entry import Entry
from inference.errors import NoRoomForModel
from inference.models import ModelFolder
from inference.resident import KIND, Resident
from inference.room import Need, lease_of, need_of
from memory import LocalNode, NeverFits, NoRoom, gib
from memory.models import Lease

log = structlog.get_logger(__name__)
RETRY_SECONDS = 5
OTHER_WORK = "its memory is needed for another kind of work"


class Landlord:
    """`entries` are the pool's. An engine is idle when nobody uses it or waits for it; pinned ones stay."""

    def __init__(self, node: LocalNode, entries: dict[str, Entry]) -> None:
        self._node, self._entries = node, entries
        self._moving = asyncio.Lock()
        self._giving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        node.ledger.ask_on_shortage(self._hear)

    async def reserve(self, folder: ModelFolder, known: Event | None) -> Lease:
        """A lease for a folder's engine, for which idle engines are evicted, the longest unused first.

        Raises:
            NeverFits, NoRoomForModel
        """
        need = await asyncio.to_thread(need_of, Path(folder.path), known)
        wanted = need.wanted
        async with self._moving:
            while True:
                try:
                    return await self._node.reserve(KIND, folder.name[:200], wanted)
                except NeverFits as never:
                    if never.ceiling < need.least:
                        raise NeverFits(wanted=need.least, ceiling=never.ceiling) from None
                    wanted = never.ceiling
                except NoRoom as short:
                    wanted = await self._settle_for(folder, need, short)

    async def fit(self, resident: Resident) -> None:
        """Now that the engine said what it holds and what a token costs, promise it that and room to work."""
        size = lease_of(resident.facts, resident.gate)
        if not size:
            return
        try:
            await resident.resize(size)
        except NeverFits as never:
            await self._grow_to(resident, never.ceiling)
        except NoRoom as short:
            await self._grow_to(resident, short.ceiling - short.leased)

    async def _grow_to(self, resident: Resident, size: int) -> None:
        if size > resident.lease.bytes:
            with contextlib.suppress(NoRoom):  # somebody else was quicker
                await resident.resize(size)

    async def _settle_for(self, folder: ModelFolder, need: Need, short: NoRoom) -> int:
        """Evict one engine, or be content with less; returns what to ask for now. Raises NoRoomForModel."""
        free = short.ceiling - short.leased
        idle = self._idle()
        if free + _held(idle) < need.least:
            raise NoRoomForModel(
                f"{folder.name} needs {gib(need.least)}, and {gib(max(0, free))} of {gib(short.ceiling)} is not"
                " promised to others. Unload a model, or try again when others are done.",
                retry_after=RETRY_SECONDS,
            )
        if not idle:
            return free
        await self._evict(idle[0], f"its memory is needed for {folder.name}")
        return short.wanted

    def _idle(self) -> list[Entry]:
        able = [entry for entry in self._entries.values() if entry.idle and not entry.settings.pinned]
        return sorted(able, key=lambda entry: entry.used_at)

    async def _evict(self, entry: Entry, reason: str) -> None:
        if entry.resident:
            log.info("Engine evicted.", model=entry.name, reason=reason, lease=entry.resident.lease.bytes)
            await entry.resident.stop(reason)

    def _hear(self, kind: str, missing: int) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it the node
            self._loop.call_soon_threadsafe(self._asked, kind, missing)

    def _asked(self, kind: str, missing: int) -> None:
        """The ledger could not promise `missing` bytes to a worker of another kind, which will ask again."""
        if kind != KIND and not self._giving:
            giving = asyncio.ensure_future(self._give(missing))
            self._giving.add(giving)
            giving.add_done_callback(self._giving.discard)

    async def _give(self, missing: int) -> None:
        """Nothing is evicted for somebody whom all of it would not help."""
        async with self._moving:
            if _held(self._idle()) < missing:
                return
            while missing > 0 and (idle := self._idle()):
                missing -= _held(idle[:1])
                await self._evict(idle[0], OTHER_WORK)


def _held(entries: list[Entry]) -> int:
    return sum(entry.resident.lease.bytes for entry in entries if entry.resident)
