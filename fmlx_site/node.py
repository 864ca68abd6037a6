"""What a node runs: its memory, its list of models, its share of the queue, and the house-keeping."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from django.conf import settings

from inference.shelf import keep_current
from memory import LocalNode
from videos.dispatch import Dispatcher
from videos.retention import keep_house


@asynccontextmanager
async def running_node() -> AsyncIterator[LocalNode]:
    """A node at work. On leaving, its workers are stopped and their jobs are back in line."""
    async with LocalNode.open(settings.FMLX.node_name) as node:
        dispatcher = Dispatcher(node)
        work = (keep_current(node.row.pk), dispatcher.run(), keep_house())
        tasks = [asyncio.create_task(job) for job in work]
        try:
            yield node
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
