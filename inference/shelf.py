"""Keeping the database's list of models true to this node's folders."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError, transaction

from fmlx_site.live import announce, listening
from inference.discovery import Found, scan
from inference.models import ModelFolder

log = structlog.get_logger(__name__)
GROUP = "models"
LOOK_SECONDS = 5.0
DEPTH = 4  # hub cache: models--Org--Name / snapshots / commit / component


def store(node_id: int, found: Iterable[Found]) -> None:
    """Replace what is known of a node's folders by what was found."""
    rows = [
        ModelFolder(
            node_id=node_id,
            name=model.name,
            path=str(model.path),
            type=model.type,
            pipeline=model.pipeline,
            size_bytes=model.size_bytes,
            resident_bytes=model.resident_bytes,
            context_window=model.context_window,
            sizes=model.sizes,
            defaults=model.defaults,
            rank=model.rank,
            skipped_because=model.skipped_because,
        )
        for model in found
    ]
    fields = ["name", "type", "pipeline", "size_bytes", "resident_bytes", "sizes", "context_window", "defaults", "rank"]
    with transaction.atomic():
        ModelFolder.objects.filter(node_id=node_id).exclude(path__in=[row.path for row in rows]).delete()
        ModelFolder.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["node", "path"], update_fields=[*fields, "skipped_because"]
        )


def signature(folders: Iterable[Path]) -> int:
    """Changes when a file or folder a model could be made of comes, goes or is rewritten."""
    return hash(tuple(entry for folder in folders for entry in _entries(folder, DEPTH)))


def _entries(folder: Path, depth: int) -> Iterable[tuple[str, int]]:
    try:
        children = sorted(folder.iterdir()) if folder.is_dir() else []
        for child in children:
            yield str(child), child.stat().st_mtime_ns
            if depth:
                yield from _entries(child, depth - 1)
    except OSError as error:
        yield str(error), 0  # a folder that went while it was read has changed


async def rescan_everywhere() -> None:
    """Ask every node to look at its folders now."""
    await announce(GROUP, "models.rescan")


async def keep_current(node_id: int, begun: Callable[[], None]) -> None:
    """Scan at start, when asked, and when the folders change; until cancelled. `begun` is called after each scan."""
    last = None
    async with listening(GROUP) as requests:
        while True:
            now = await asyncio.to_thread(signature, settings.FMLX.models)
            if now != last and await _rescan(node_id):
                last = now
                begun()
            if await requests.next(LOOK_SECONDS):
                last = None


async def _rescan(node_id: int) -> bool:
    found = await asyncio.to_thread(scan, settings.FMLX.models)
    try:
        await sync_to_async(store)(node_id, found)
    except (DatabaseError, InterfaceError):
        log.exception("The list of models could not be written; trying again.")
        return False
    skipped = {model.name: model.skipped_because for model in found if model.skipped_because}
    log.info("Models found.", served=[model.name for model in found if model.type], skipped=skipped)
    return True
