"""Live events between processes: a hint that something changed. The truth is the database row."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import Any

import structlog
from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer, get_channel_layer
from django.conf import settings

log = structlog.get_logger(__name__)
Event = dict[str, Any]


def channel_layer() -> BaseChannelLayer:
    layer = get_channel_layer()
    if layer is None:
        raise RuntimeError("CHANNEL_LAYERS has no default.")
    return layer


async def announce(group: str, type_: str, **fields: Any) -> None:
    """Tell everybody who listens. A layer that is down costs liveness, never the work."""
    layer = channel_layer()
    try:
        await _in_whole(layer.group_send(group, {"type": type_, **fields}))
    except layer_errors() as error:
        log.warning("Live event was not delivered.", group=group, type=type_, reason=str(error))


@cache
def layer_errors() -> tuple[type[Exception], ...]:
    """What the channel layer raises when it is down. Redis's own is imported only where it is used: it is slow."""
    if not settings.FMLX.redis_url:
        return (ChannelFull, OSError)
    from redis.exceptions import RedisError  # noqa: PLC0415

    return (ChannelFull, OSError, RedisError)


class Listener:
    """A subscription: the next event, or None when none came in time."""

    channel = ""

    def __init__(self, groups: Collection[str]) -> None:
        self._groups = groups
        self._receiving: asyncio.Task[Event] | None = None

    async def join(self) -> None:
        layer = channel_layer()
        self.channel = await layer.new_channel()
        for group in self._groups:
            await layer.group_add(group, self.channel)

    async def next(self, wait_seconds: float) -> Event | None:
        # One receive is kept across calls: a layer takes a cancelled receive for the listener's end.
        self._receiving = self._receiving or asyncio.create_task(channel_layer().receive(self.channel))
        done, _pending = await asyncio.wait({self._receiving}, timeout=wait_seconds)
        if not done:
            return None
        event, self._receiving = self._receiving.result(), None
        return event

    async def leave(self) -> None:
        # Cancelling a receive is also how the Redis layer is told to unsubscribe the channel.
        receiving = self._receiving or asyncio.create_task(channel_layer().receive(self.channel))
        await asyncio.sleep(0)
        receiving.cancel()
        with suppress(asyncio.CancelledError):
            await receiving
        for group in self._groups:
            await channel_layer().group_discard(group, self.channel)


@asynccontextmanager
async def listening(*groups: str) -> AsyncIterator[Listener]:
    listener = Listener(groups)
    try:
        await _in_whole(listener.join())
        yield listener
    finally:
        if listener.channel:
            await _in_whole(listener.leave())


async def _in_whole(call: Coroutine[Any, Any, None]) -> None:
    """A cancel waits until the layer is through, and then stands.

    redis-py sends inside `asyncio.wait_for`, which on Python 3.11 loses a cancel that comes as it ends: who was
    told to stop never did.
    """
    calling = asyncio.ensure_future(call)
    try:
        await asyncio.shield(calling)
    except asyncio.CancelledError:
        await asyncio.gather(calling, return_exceptions=True)
        raise
