"""The stream of a stored response, from any of its events on, also while it is being made in another process."""

import asyncio
from collections.abc import AsyncGenerator

from asgiref.sync import sync_to_async

from fmlx_site.live import listening
from inference.api import sse
from inference.models import StoredResponse
from inference.responses import store

LOOK_SECONDS = 2.0  # between two looks, if nothing is heard
KEEP_ALIVE_SECONDS = 10.0


async def follow(row_id: str, after: int) -> AsyncGenerator[bytes]:
    """Every event after that of the number `after`, until the response has ended or is gone."""
    loop = asyncio.get_running_loop()
    said = loop.time()
    async with listening(store.group_of(row_id)) as listener:
        while True:
            ended, events = await sync_to_async(_look)(row_id, after)
            if events:
                after, said = events[-1][0], loop.time()
                yield "".join(f"{event}\n\n" for _number, event in events).encode()
            if ended:
                return
            if loop.time() - said >= KEEP_ALIVE_SECONDS:
                said = loop.time()
                yield sse.KEEP_ALIVE
            await listener.next(LOOK_SECONDS)


def _look(row_id: str, after: int) -> tuple[bool, list[tuple[int, str]]]:
    row = StoredResponse.objects.filter(pk=row_id).first()
    return row is None or row.ended, store.events_after(row_id, after)
