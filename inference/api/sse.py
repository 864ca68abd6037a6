"""Server-sent events: the wire form, and a response that is never buffered."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from django.http import StreamingHttpResponse

from fmlx_site.errors import FmlxError
from inference.api.errors import error_body
from inference.errors import ServerStopping

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
STOPPING = "the server stops"  # what a stream's task is cancelled with then


def event(name: str, number: int, data: Any) -> bytes:
    return f"event: {name}\nid: {number}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def error(failure: FmlxError) -> bytes:
    """The end of a stream that fails after it began."""
    return b"event: error\ndata: " + error_body(failure.message, failure.type, failure.param, failure.code) + b"\n\n"


def streamed(events: AsyncIterator[bytes]) -> StreamingHttpResponse:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return StreamingHttpResponse(events, content_type="text/event-stream", headers=headers)


@contextmanager
def told_of_stop() -> Iterator[None]:
    """A stream that is cut off because the server stops says so; that of a client that left is only cancelled.

    Raises:
        ServerStopping
    """
    try:
        yield
    except asyncio.CancelledError as cancelled:
        if STOPPING not in cancelled.args:
            raise
        raise ServerStopping("The server was stopped while it answered. Send it again when it is back.") from None


async def begun(chunks: AsyncGenerator[bytes]) -> StreamingHttpResponse:
    """A response that starts when its first chunk is there: what fails before that is an error with a status."""
    return streamed(_Begun(await anext(chunks), chunks))


class _Begun:
    """Not a generator, which would never close the one it holds if it were dropped before it started."""

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes]) -> None:
        self._first, self._rest = first, rest

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._begin() if self._first else self._rest.__anext__()

    async def _begin(self) -> bytes:
        first, self._first = self._first, b""
        return first
