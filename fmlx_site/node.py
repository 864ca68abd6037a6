"""What a node runs: its memory, its list of models, its engines, its share of the queue, and the house-keeping."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import structlog
from django.conf import settings

from fmlx_site.option_store import follow
from inference.door import keep_open
from inference.downloads.keeper import keep_downloading
from inference.keeper import keep_engines
from inference.pool import Pool, here
from inference.shelf import keep_current
from memory import LocalNode, keep_runtimes_known
from videos.dispatch import Dispatcher
from videos.extending import keep_extending
from videos.retention import keep_house
from webhooks.post import keep_delivering

log = structlog.get_logger(__name__)
RESTART_SECONDS = 5.0
BEGIN_SECONDS = 10.0  # a large folder on a slow disk may take longer to look through, and need not keep the others


class Part:
    """What a node does for as long as it runs: one that breaks says why and is started again.

    `run` is given what it calls when the things that others count on are there. One that breaks before that is not
    started again: a node that cannot begin does not pretend to.
    """

    def __init__(self, name: str, run: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self.name, self._run = name, run
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        if not self.begun.done():
            self.begun.set_result(None)

    async def keep_up(self) -> None:
        while True:
            try:
                await self._run(self.begin)
            except Exception as error:
                if not self.begun.done():
                    self.begun.set_exception(error)
                    return
                log.exception("A part of the node broke; it is started again.", part=self.name)
            await asyncio.sleep(RESTART_SECONDS)


@asynccontextmanager
async def running_node() -> AsyncIterator[LocalNode]:
    """A node at work: its queue is recovered, its models are listed. On leaving, its workers are stopped and their jobs
    are back in line.

    Raises what kept a part from beginning.
    """
    async with LocalNode.open(settings.FMLX.node_name) as node:
        pool = Pool(node)
        first = [
            Part("models", lambda begin: keep_current(node.row.pk, begin)),
            Part("door", lambda begin: keep_open(pool, begin)),
            Part("queue", lambda begin: Dispatcher(node).run(begin)),
        ]
        others = [
            Part("options", lambda _: follow()),
            Part("runtimes", lambda _: keep_runtimes_known(node.row.pk)),
            Part("engines", lambda _: keep_engines(pool)),
            Part("house-keeping", lambda _: keep_house()),
            Part("downloads", lambda _: keep_downloading(node.row.pk)),
            Part("prompts", lambda _: keep_extending()),
            Part("webhooks", lambda _: keep_delivering()),
        ]
        for part in others:
            part.begin()
        tasks = [asyncio.create_task(part.keep_up(), name=part.name) for part in (*first, *others)]
        try:
            with here(pool):
                await _all_begun(first)
                yield node
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _all_begun(parts: Iterable[Part]) -> None:
    waiting = {part.begun: part for part in parts}
    done, late = await asyncio.wait(waiting, timeout=BEGIN_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
    for begun in done:
        begun.result()
    if late:
        names = sorted(waiting[begun].name for begun in late)
        log.warning(
            f"Not everything has begun within {BEGIN_SECONDS:.0f} s, and the rest does not wait for it.", late=names
        )
    for begun in late:
        waiting[begun].begin()
