"""Engines that give back what they do not use, and get it again when they are used."""

import structlog

from inference.entry import Entry, held, longest_unused
from inference.resident import KIND
from inference.room import LEAST_WORK_BYTES
from memory import LeaseClosed, Shortage

log = structlog.get_logger(__name__)


class Elastic:
    """Idle engines, pinned ones too: each keeps what it holds and room for a small chunk. `entries` are the pool's."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries

    async def make_room(self, shortage: Shortage) -> int:
        """Returns what was given back: nothing for work that would not fit even if all that can be evicted went."""
        if shortage.kind == KIND:  # it evicts for itself
            return 0
        idle = longest_unused(self._entries, pinned=True)
        evictable = held(longest_unused(self._entries))
        spare = sum(_spare(entry) for entry in idle if entry.settings.pinned)
        if shortage.kind and evictable + spare < shortage.bytes:
            return 0
        given = 0
        for entry in idle:
            if given >= shortage.bytes:
                break
            given += await _shrink(entry)
        return given


async def _shrink(entry: Entry) -> int:
    there = entry.resident
    if there is None or there.sizing.locked() or not (spare := _spare(entry)):
        return 0
    async with there.sizing:  # who comes to use it meanwhile waits for this, and has it grow again
        before = there.lease.bytes
        try:
            await there.shrink(before - spare)
        except LeaseClosed:
            return 0
        there.shrunk = True
    gave = before - there.lease.bytes
    log.info("Engine shrunk.", model=entry.name, lease=there.lease.bytes, gave=gave)
    return gave


def _spare(entry: Entry) -> int:
    """Bytes of its lease beyond what its engine said it needs at rest, cached prompts not counted; none before it
    said so."""
    there = entry.resident
    said = there.status if there else {}
    if there is None or not said.get("base_bytes"):
        return 0
    return max(0, there.lease.bytes - int(said["base_bytes"]) - int(said.get("margin_bytes") or 0) - LEAST_WORK_BYTES)
