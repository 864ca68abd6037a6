"""Keeping the database's list of models true to this node's folders."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog
from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, transaction

from fmlx_site.live import announce, listening
from fmlx_site.stamps import MODELS
from inference.discovery import Found, scan
from inference.models import ModelFolder, searched_folders

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
            skipped_said=model.skipped_said,
        )
        for model in found
    ]
    fields = ["name", "type", "pipeline", "size_bytes", "resident_bytes", "sizes", "context_window", "defaults", "rank"]
    fields += ["skipped_because", "skipped_said"]
    with transaction.atomic():
        ModelFolder.objects.filter(node_id=node_id).exclude(path__in=[row.path for row in rows]).delete()
        ModelFolder.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["node", "path"], update_fields=fields
        )
        transaction.on_commit(MODELS.renew)


def signature(folders: Iterable[Path]) -> int:
    """Changes when a file or folder a model could be made of comes, goes or is rewritten."""
    return hash(tuple(entry for folder in folders for entry in _entries(folder, DEPTH)))


def _entries(folder: Path, depth: int) -> Iterable[tuple[str, int]]:
    try:
        children = sorted(folder.iterdir()) if folder.is_dir() else []
        for child in (child for child in children if not child.name.startswith(".")):  # what is being downloaded
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
    last, folders = None, list[Path]()
    async with listening(GROUP) as requests:
        while True:
            folders = await _searched() or folders
            now = await asyncio.to_thread(signature, folders)
            if now != last and await _rescan(node_id, folders):
                last = now
                begun()
            asked = await requests.next(LOOK_SECONDS)
            if asked and asked["type"] == "models.rescan":
                last = None


async def _searched() -> list[Path]:
    """Nothing when the database is away: then what was known goes on to hold."""
    try:
        return await sync_to_async(searched_folders)()
    except (DatabaseError, InterfaceError):
        log.exception("Which folders to search could not be read; trying again.")
        return []


async def _rescan(node_id: int, folders: Iterable[Path]) -> bool:
    found = await asyncio.to_thread(scan, folders)
    try:
        await sync_to_async(store)(node_id, found)
    except (DatabaseError, InterfaceError):
        log.exception("The list of models could not be written; trying again.")
        return False
    skipped = {model.name: model.skipped_because for model in found if model.skipped_because}
    await announce(GROUP, "models.changed")
    log.info("Models found.", served=[model.name for model in found if model.type], skipped=skipped)
    return True
