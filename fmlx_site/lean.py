"""Two Django handlers behind one application: a lean one for the API, the stock one for pages.

The stock stack costs 16 thread hops and a thread pool per request; the API needs none of it, since
auth, request ids and error shapes live in ninja. This rests on private methods of Django 5.2
(`_get_response_async`, and that `load_middleware` is called once); a test holds them in place.
"""

import asyncio
import contextlib
import functools
import time
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.core.handlers.exception import convert_exception_to_response
from django.db import close_old_connections
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, resolve, set_script_prefix
from django.utils import translation

from fmlx_site.errors import BodyTooLarge, BodyTooSlow
from fmlx_site.server_options import BODY_MAX_BYTES
from inference.api.errors import error_response, note, plain_status_response
from inference.api.sse import STOPPING
from inference.request_log.wire import exchange, keep_body

BODY_SECONDS = 30.0
BODY_BYTES_PER_SECOND = 8 * 1024  # the slowest mobile uplink; who sends less holds a place that others need
KNOWN_PATHS = 256  # the few that are asked most are always among them


async def _in_time(receive: Any, deadline: float, body: IO[bytes]) -> Any:
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            return await receive()
    except TimeoutError:
        body.close()
        raise BodyTooSlow(
            f"The body did not come: after {BODY_SECONDS:.0f} s, {BODY_BYTES_PER_SECOND} bytes a second are the least."
        ) from None


class LimitedBody:
    """Refuse a body that is too large before it is stored, and one that never comes."""

    async def read_body(self, receive: Any) -> Any:
        body = SpooledTemporaryFile(max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE, mode="w+b")  # noqa: SIM115
        length, began = 0, time.monotonic()
        while True:
            message = await _in_time(receive, began + BODY_SECONDS + length / BODY_BYTES_PER_SECOND, body)
            if message["type"] == "http.disconnect":
                body.close()
                raise RequestAborted
            length += len(message.get("body", b""))
            if length > BODY_MAX_BYTES.value:
                body.close()
                raise BodyTooLarge(f"The body is over this server's limit of {BODY_MAX_BYTES.value} bytes.")
            body.write(message.get("body", b""))
            if not message.get("more_body", False):
                body.seek(0)
                return body


class PageHandler(LimitedBody, ASGIHandler):
    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().handle(scope, receive, send)
        except (BodyTooLarge, BodyTooSlow) as error:
            await self.send_response(error_response(error, scope["path"]), send)


class LeanHandler(LimitedBody, ASGIHandler):
    def __init__(self) -> None:
        self._streams: set[asyncio.Task[None]] = set()
        super().__init__()

    def end_streams(self) -> None:
        """The server stops: open streams end now, in good order, instead of holding it up."""
        for stream in self._streams:
            stream.cancel(STOPPING)

    def load_middleware(self, is_async: bool = False) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._chain: Any = convert_exception_to_response(self._get)

    async def _get(self, request: HttpRequest) -> HttpResponseBase:
        """A URL that is not there is said so without making Django's page, which needs what middleware sets."""
        try:
            response: HttpResponseBase = await self._get_response_async(request)  # type: ignore[attr-defined]
        except Http404:
            return plain_status_response(HTTPStatus.NOT_FOUND, request.path)
        return response

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Django's own tries one pattern after the other for every request."""
        request.resolver_match = _resolved(request.path_info)
        return request.resolver_match

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.handle(scope, receive, send)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith(("/v1/", "/v2/")):
            await exchange(scope, receive, send, self._handle)
        else:
            await self._handle(scope, receive, send)

    async def _handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        except (BodyTooLarge, BodyTooSlow) as error:
            note(error.code)
            await self.send_response(error_response(error, scope["path"]), send)
            return
        set_script_prefix(get_script_prefix(scope))
        translation.activate(settings.LANGUAGE_CODE)  # the API is in English, whatever a page before it was in
        with body:
            keep_body(body)
            request, refusal = self.create_request(scope, body)
            if request is not None:
                await self._answer_or_abort(request, receive, send)
            elif refusal is not None:
                await self.send_response(plain_status_response(refusal.status_code, scope["path"]), send)

    async def _answer_or_abort(self, request: ASGIRequest, receive: Any, send: Any) -> None:
        """Answer; or, when the client goes first, cancel the view, which passes it on to the engine."""
        answer = asyncio.create_task(self._answer(request, send))
        gone = asyncio.create_task(receive())
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not answer.done():
                answer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answer

    async def _answer(self, request: ASGIRequest, send: Any) -> None:
        response = _of_known_length(_in_shape(await self._chain(request), request))
        try:
            await (self._stream(response, send) if response.streaming else self.send_response(response, send))
        finally:
            if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
                await sync_to_async(close_old_connections)()  # it may have been a connection that broke
            request.close()  # response.close() would send request_finished, a thread hop

    async def _stream(self, response: HttpResponseBase, send: Any) -> None:
        streaming = asyncio.create_task(self.send_response(response, send))
        self._streams.add(streaming)
        streaming.add_done_callback(self._streams.discard)
        try:
            await streaming
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task and task.cancelling():
                raise  # the client went, and this request was cancelled, not only its stream
            await send({"type": "http.response.body"})


@functools.lru_cache(maxsize=KNOWN_PATHS)
def _resolved(path: str) -> ResolverMatch:
    return resolve(path)


def _of_known_length(response: HttpResponseBase) -> HttpResponseBase:
    """Without it a short answer would be sent in chunks."""
    bare = response.status_code in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
    if isinstance(response, HttpResponse) and not bare and "Content-Length" not in response.headers:
        response.headers["Content-Length"] = str(len(response.content))
    return response


def _in_shape(response: HttpResponseBase, request: HttpRequest) -> HttpResponseBase:
    """An error that Django made is OpenAI's object too."""
    if response.status_code < HTTPStatus.BAD_REQUEST or "Content-Range" in response.headers:
        return response
    if response.headers.get("Content-Type", "").startswith("application/json"):
        return response
    shaped = plain_status_response(response.status_code, request.path)
    if "Allow" in response.headers:
        shaped.headers["Allow"] = response.headers["Allow"]
    return shaped
