"""Looking after the engines of a node every second: the wedged, the unused, the pinned, and those without a folder."""

import asyncio
import contextlib
import logging
import time

import structlog

from fmlx_site.errors import FmlxError
from inference.catalog import Catalog, Served, read_catalog
from inference.entry import Entry
from inference.pool import Pool
from inference.resident import SILENCE_SECONDS
from memory import What, say

log = structlog.get_logger(__name__)
LOOK_SECONDS = 1.0
CATALOG_SECONDS = 5.0
GIVE_BACK_SECONDS = 10.0  # a conversation's next prompt finds the room of its last
LATE_SECONDS = 1.0  # the node itself did not run, and could not have heard them


async def keep_engines(pool: Pool) -> None:
    """Until cancelled."""
    looked, read_at = time.monotonic(), 0.0
    async with asyncio.TaskGroup() as tasks:
        while True:
            now = time.monotonic()
            _forgive(pool, now - looked - LOOK_SECONDS)
            looked = now
            for entry in list(pool.entries.values()):
                if reason := _why_end(entry, now):
                    tasks.create_task(_end(pool, entry, reason))
                elif now - entry.used_at > GIVE_BACK_SECONDS:
                    await pool.give_back(entry)
            if now - read_at >= CATALOG_SECONDS:
                read_at = now
                _follow(pool, await read_catalog(), tasks)
            await asyncio.sleep(LOOK_SECONDS)


def _forgive(pool: Pool, late: float) -> None:
    if late > LATE_SECONDS:
        for entry in pool.entries.values():
            if entry.resident:
                entry.resident.heard += late


def _why_end(entry: Entry, now: float) -> str:
    resident = entry.resident
    if resident is None or resident.ending:
        return ""
    if resident.silent(now):
        return say("silent_for", seconds=round(SILENCE_SECONDS))
    unused = now - entry.used_at
    if entry.idle and not entry.settings.pinned and 0 < entry.idle_seconds < unused:
        return f"nobody used it for {unused:.0f} s"
    return ""


async def _end(pool: Pool, entry: Entry, reason: str) -> None:
    fault = entry.resident is not None and entry.resident.silent(time.monotonic())
    log.log(logging.ERROR if fault else logging.INFO, "Engine unloaded.", model=entry.name, reason=reason)
    if fault and entry.resident:
        lease = entry.resident.lease
        message = say("engine_silent", model=entry.name, seconds=round(SILENCE_SECONDS))
        figures = {"code": "worker_stalled", "lease": lease.bytes}
        about = {"kind": lease.kind, "holder": lease.holder, "lease": lease.pk}
        await pool.node.note(What.KILLED, **about, message=message, figures=figures)
    await pool.unload(entry.name, reason, fault=fault)


def _follow(pool: Pool, catalog: Catalog, tasks: asyncio.TaskGroup) -> None:
    """Load what is pinned; let go of what has no folder any more."""
    node = pool.node.row.pk
    here = {name: model for name, model in catalog.models.items() if model.folder_on(node)}
    for name, model in here.items():
        if name in pool.entries:
            entry = pool.entries[name]
            entry.settings = model.settings
            if entry.resident:
                tasks.create_task(entry.resident.keep(pinned=model.settings.pinned))
        if model.settings.pinned and not pool.is_there(name):
            tasks.create_task(_load(pool, model))
    for name, entry in pool.entries.items():
        if entry.idle and name not in here:
            tasks.create_task(_end(pool, entry, "its folder is gone"))


async def _load(pool: Pool, model: Served) -> None:
    with contextlib.suppress(FmlxError):  # the pool says why in its log, and when it may be tried again
        async with pool.engine_for(model):
            return
