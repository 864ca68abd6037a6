"""Leases for engines: how they come by them, and which idle engine gives its own up when memory is short."""

import asyncio
import contextlib
import math
from pathlib import Path

import structlog
from channels.db import database_sync_to_async as in_database
from django.utils import timezone

from inference.client import Event
from inference.elastic import Elastic
from inference.entry import Entry, held, longest_unused
from inference.errors import ModelsPinned, NoRoomForModel
from inference.models import ModelFolder
from inference.resident import KIND, Resident
from inference.room import Need, lease_of, need_of
from memory import LeaseClosed, LocalNode, NeverFits, NoRoom, Priority, RoomPinned, Shortage, What, gib, join, say
from memory.models import Lease

log = structlog.get_logger(__name__)
RETRY_SECONDS = 5
LONGEST_RETRY = 3600
LEAVING_SECONDS = 0.2  # between two looks at whether another worker, which was asked to, has left


class Landlord:
    """`entries` are the pool's. An engine is idle when nobody uses it or waits for it; pinned ones stay."""

    def __init__(self, node: LocalNode, entries: dict[str, Entry]) -> None:
        self._node, self._entries = node, entries
        self._moving = asyncio.Lock()
        self._giving: set[asyncio.Task[None]] = set()
        node.register_room_maker(Priority.SHRINK, Elastic(entries).make_room)
        node.register_room_maker(Priority.EVICT, self._make_room)

    async def reserve(self, folder: ModelFolder, known: Event | None, *, pinned: bool) -> Lease:
        """A lease for a folder's engine, for which idle engines are evicted, the longest unused first.

        Raises:
            NeverFits, NoRoomForModel, ModelsPinned
        """
        need = await asyncio.to_thread(need_of, Path(folder.path), known)
        try:
            return await self._reserve(folder, need, pinned=pinned)
        except (NeverFits, NoRoom) as refusal:
            await self._node.write_down(self._node.ledger.refusals.tell, KIND, folder.name[:200], refusal)
            raise

    async def fit(self, resident: Resident) -> None:
        """Now that the engine said what it holds and what a token costs, promise it that and room to work."""
        size = lease_of(resident.facts, resident.gate)
        if not size:
            return
        try:
            await resident.resize(size)
        except (NeverFits, NoRoom):
            room = await in_database(self._node.ledger.room)()
            await self._grow_to(resident, min(size, resident.lease.bytes + room.free))

    async def regrow(self, resident: Resident) -> None:
        """It gave up what it did not use, and is used now. What it does not get back now, it gets the next time."""
        async with resident.sizing:
            if not resident.shrunk:
                return
            with contextlib.suppress(LeaseClosed):  # it ends
                await self.fit(resident)
            resident.shrunk = resident.lease.bytes < lease_of(resident.facts, resident.gate)

    async def _reserve(self, folder: ModelFolder, need: Need, *, pinned: bool) -> Lease:
        wanted = need.wanted
        async with self._moving:
            while True:
                try:
                    return await self._node.try_reserve(KIND, folder.name[:200], wanted, pinned=pinned)
                except NeverFits as never:
                    if never.ceiling < need.least:
                        raise NeverFits(wanted=need.least, ceiling=never.ceiling) from None
                    wanted = never.ceiling
                except RoomPinned as short:
                    wanted = _beside_the_pinned(folder, need, short.leased, short.ceiling)
                except NoRoom as short:
                    wanted = await self._settle_for(folder, need, short)

    async def grow(self, resident: Resident, wanted: int) -> None:
        """An engine asks for more: idle ones are evicted for it if that helps. It is told what it has got."""
        most = None
        async with self._moving:
            try:
                await self._resize_or_evict(resident, wanted)
            except NeverFits as never:
                most = never.ceiling
                await self._grow_to(resident, most)
            except NoRoom as short:
                log.info("Engine not given more.", model=resident.folder.name, wanted=wanted, reason=str(short))
            except LeaseClosed:
                return
        log.info("Engine asked for more.", model=resident.folder.name, wanted=wanted, lease=resident.lease.bytes)
        await resident.send("lease", bytes=resident.lease.bytes, most=most)

    async def give_back(self, resident: Resident) -> None:
        """Nobody uses an engine: what it holds and a first request need stay promised to it."""
        size = lease_of(resident.facts, {**resident.gate, **resident.status})
        if 0 < size < resident.lease.bytes:
            async with self._moving:
                with contextlib.suppress(LeaseClosed):
                    await resident.shrink(size)

    async def _resize_or_evict(self, resident: Resident, wanted: int) -> None:
        while wanted > resident.lease.bytes:
            try:
                await resident.resize(wanted)
            except NoRoom as short:
                idle = longest_unused(self._entries)
                if not idle or held(idle) < short.missing:
                    raise
                name = resident.folder.name
                await self._evict(idle[0], name, Shortage(short.missing, KIND, name))

    async def _grow_to(self, resident: Resident, size: int) -> None:
        if size > resident.lease.bytes:
            with contextlib.suppress(NoRoom):  # somebody else was quicker
                await resident.resize(size)

    async def _settle_for(self, folder: ModelFolder, need: Need, short: NoRoom) -> int:
        """Evict one engine, or be content with less; returns what to ask for now.

        Raises:
            NoRoomForModel, ModelsPinned
        """
        free = short.ceiling - short.leased
        idle = longest_unused(self._entries)
        if (missing := need.least - free - held(idle)) > 0:
            if await self._node.make_room(Shortage(missing, KIND)) >= missing:  # an idle generator leaves, say
                await asyncio.sleep(LEAVING_SECONDS)
                return short.wanted
            pinned = await in_database(self._node.ledger.pinned)()
            if need.least <= short.ceiling:
                _beside_the_pinned(folder, need, pinned, short.ceiling)
            raise await self._no_room(folder, need, short, free + held(idle))
        if not idle:
            return free
        await self._evict(idle[0], folder.name, Shortage(need.least - free, KIND))
        return short.wanted

    async def _no_room(self, folder: ModelFolder, need: Need, short: NoRoom, free: int) -> NoRoomForModel:
        """With what is expected to end, and when, if that is known."""
        text = say("model_needs", model=folder.name, wanted=need.least, free=max(0, free), ceiling=short.ceiling)
        hint, seconds = say("unload_or_wait"), RETRY_SECONDS
        ending = await in_database(self._node.ledger.ending)(need.least - free)
        if ending and ending[-1].ends_at:
            left = math.ceil((ending[-1].ends_at - timezone.now()).total_seconds())
            seconds = min(LONGEST_RETRY, max(RETRY_SECONDS, left))  # one that should have ended does so any moment
            whose = ", ".join(f"{lease.kind} {lease.holder} ({gib(lease.bytes)})" for lease in ending)
            hint = say("ends_soon", seconds=seconds, whose=whose)
        return NoRoomForModel(
            wanted=need.least,
            leased=short.ceiling - free,
            ceiling=short.ceiling,
            message=join(text, hint),
            retry_after=seconds,
        )

    async def _evict(self, entry: Entry, whom: str, shortage: Shortage) -> None:
        """`whom` its memory is for; nobody, if it was promised to others already."""
        if not entry.resident:
            return
        reason = f"its memory is needed for {whom or 'others, to whom it was promised'}"
        lease = entry.resident.lease
        log.info("Engine evicted.", model=entry.name, reason=reason, lease=lease.bytes)
        figures = {"for_kind": shortage.kind, "for_holder": shortage.holder, "missing": shortage.bytes}
        message = say("evicted_for" if whom else "evicted_for_promised", model=entry.name, whom=whom)
        fields = {"lease": lease.pk, "bytes": lease.bytes, "message": message, "figures": figures}
        await self._node.note(What.EVICTED, kind=KIND, holder=lease.holder, **fields)
        await entry.resident.stop(reason)

    async def _make_room(self, shortage: Shortage) -> int:
        """Idle engines go for another kind of work, if together they are enough; and when more is promised than there
        is, as many as it takes. Returns what is on its way, without waiting for it.
        """
        if shortage.kind == KIND:  # an engine's own load evicts for itself
            return 0
        coming, idle = held(self._ending()), longest_unused(self._entries)
        if self._giving or coming >= shortage.bytes or (shortage.kind and coming + held(idle) < shortage.bytes):
            return coming
        missing = shortage.bytes - coming
        giving = asyncio.ensure_future(self._give(Shortage(missing, shortage.kind, shortage.holder)))
        self._giving.add(giving)
        giving.add_done_callback(self._giving.discard)
        return coming + min(missing, held(idle))

    async def _give(self, shortage: Shortage) -> None:
        whom = f"{shortage.kind} {shortage.holder}" if shortage.kind else ""
        missing = shortage.bytes
        async with self._moving:
            while missing > 0 and (idle := longest_unused(self._entries)):
                missing -= held(idle[:1])
                await self._evict(idle[0], whom, shortage)

    def _ending(self) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.resident and entry.resident.ending]


def _beside_the_pinned(folder: ModelFolder, need: Need, pinned: int, ceiling: int) -> int:
    """What is left beside pinned models when all others have gone. Raises ModelsPinned when that is too little."""
    if pinned and ceiling - pinned < need.least:
        raise ModelsPinned(
            wanted=need.least,
            leased=pinned,
            ceiling=ceiling,
            message=say("model_beside_pinned", model=folder.name, wanted=need.least, pinned=pinned, ceiling=ceiling),
        )
    return ceiling - pinned
