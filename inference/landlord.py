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
from memory import LocalNode, NeverFits, NoRoom, Priority, Shortage, gib
from memory.models import Lease

log = structlog.get_logger(__name__)
RETRY_SECONDS = 5
LEAVING_SECONDS = 0.2  # between two looks at whether another worker, which was asked to, has left
OTHER_WORK = "its memory is needed for another kind of work"


class Landlord:
    """`entries` are the pool's. An engine is idle when nobody uses it or waits for it; pinned ones stay."""

    def __init__(self, node: LocalNode, entries: dict[str, Entry]) -> None:
        self._node, self._entries = node, entries
        self._moving = asyncio.Lock()
        self._giving: set[asyncio.Task[None]] = set()
        node.register_room_maker(Priority.EVICT, self._make_room)

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
        if (missing := need.least - free - _held(idle)) > 0:
            if await self._node.make_room(Shortage(missing, KIND)) >= missing:  # an idle generator leaves, say
                await asyncio.sleep(LEAVING_SECONDS)
                return short.wanted
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

    async def _make_room(self, shortage: Shortage) -> int:
        """Idle engines go for another kind of work, if together they are enough; and when more is promised than there
        is, as many as it takes. Returns what is on its way, without waiting for it.
        """
        if shortage.kind == KIND:  # an engine's own load evicts for itself
            return 0
        coming, idle = _held(self._ending()), self._idle()
        if self._giving or coming >= shortage.bytes or (shortage.kind and coming + _held(idle) < shortage.bytes):
            return coming
        missing = shortage.bytes - coming
        giving = asyncio.ensure_future(self._give(missing))
        self._giving.add(giving)
        giving.add_done_callback(self._giving.discard)
        return coming + min(missing, _held(idle))

    async def _give(self, missing: int) -> None:
        async with self._moving:
            while missing > 0 and (idle := self._idle()):
                missing -= _held(idle[:1])
                await self._evict(idle[0], OTHER_WORK)

    def _ending(self) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.resident and entry.resident.ending]


def _held(entries: list[Entry]) -> int:
    return sum(entry.resident.lease.bytes for entry in entries if entry.resident)
