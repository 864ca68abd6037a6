"""What a node runs: its memory, its list of models, its engines, its share of the queue, and the house-keeping."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from django.conf import settings

from inference.door import keep_open
from inference.keeper import keep_engines
from inference.pool import Pool, here
from inference.shelf import keep_current
from memory import LocalNode, keep_runtimes_known
from videos.dispatch import Dispatcher
from videos.retention import keep_house

log = structlog.get_logger(__name__)
RESTART_SECONDS = 5.0


@asynccontextmanager
async def running_node() -> AsyncIterator[LocalNode]:
    """A node at work. On leaving, its workers are stopped and their jobs are back in line."""
    async with LocalNode.open(settings.FMLX.node_name) as node:
        pool = Pool(node)
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "models": lambda: keep_current(node.row.pk),
            "runtimes": lambda: keep_runtimes_known(node.row.pk),
            "engines": lambda: keep_engines(pool),
            "door": lambda: keep_open(pool),
            "queue": lambda: Dispatcher(node).run(),
            "house-keeping": keep_house,
        }
        tasks = [asyncio.create_task(_kept_up(name, part), name=name) for name, part in parts.items()]
        try:
            with here(pool):
                yield node
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _kept_up(name: str, part: Callable[[], Awaitable[None]]) -> None:
    """Run a part of the node for as long as the node runs: one that breaks says why and is started again."""
    while True:
        try:
            await part()
        except Exception:
            log.exception("A part of the node broke; it is started again.", part=name)
        await asyncio.sleep(RESTART_SECONDS)
