"""A request's visit at the level of ASGI: headers on every answer, its end noted, and what other origins may do."""

import functools
import time
from collections.abc import Iterator
from typing import IO, Any

from django.conf import settings
from django.urls import resolve
from django.urls.exceptions import Resolver404

from inference.api.formats import anthropic
from inference.options import KEEP_BODIES
from inference.request_log.visit import CLIENT_GONE, Visit, current_visit, visiting
from inference.request_log.writer import writer

Header = tuple[bytes, bytes]
KEPT_BYTES = 16 * 1024
KNOWN_ROUTES = 256  # paths: the few that prompts are sent to are always among them
QUIET = ("/v1/docs", "/v1/openapi.json")  # pages about the API, no use of it
ALLOWED = {
    b"access-control-allow-methods": b"GET, POST, DELETE, OPTIONS",
    b"access-control-allow-headers": b"Authorization, Content-Type, X-API-Key, Idempotency-Key, OpenAI-Beta, "
    b"Anthropic-Version, Anthropic-Beta, Anthropic-Dangerous-Direct-Browser-Access",
    b"access-control-max-age": b"600",
}
EXPOSED = b"x-request-id, request-id, retry-after, " + b", ".join(
    f"x-ratelimit-{name}-{what}".encode() for what in ("requests", "tokens") for name in ("limit", "remaining", "reset")
)


class Exchange:
    """What is sent for one visit. Its end is told to the key's meter before the last byte, so that who waits for an
    answer before asking again is never told that it still runs."""

    def __init__(self, visit: Visit, send: Any, origin: bytes) -> None:
        self._visit, self._send, self._origin = visit, send, origin

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._visit.status = message["status"]
            message = {**message, "headers": [*message["headers"], *self._headers(message["headers"])]}
        elif not message.get("more_body", False):
            self._visit.complete = True
            await self._visit.settle()
        await self._send(message)

    def _headers(self, there: list[Header]) -> Iterator[Header]:
        given = next((value for name, value in there if name.lower() == b"x-request-id"), None)
        if given:
            self._visit.request_id = given.decode("latin-1")
        else:
            yield b"x-request-id", self._visit.request_id.encode()
        if anthropic.speaks(self._visit.path):
            yield b"request-id", self._visit.request_id.encode()
        yield from ((name.encode(), value.encode()) for name, value in self._visit.headers.items())
        yield from cors_headers(self._origin)


def cors_headers(origin: bytes) -> Iterator[Header]:
    if origin:
        yield b"access-control-allow-origin", origin
        yield b"access-control-expose-headers", EXPOSED
        yield b"vary", b"Origin"


def allowed_origin(scope: Any) -> bytes:
    """The origin that asks, if FMLX_CORS_ORIGINS names it; nothing otherwise."""
    origin = next((value for name, value in scope["headers"] if name == b"origin"), b"")
    named = settings.FMLX.cors_origins.split(",")
    return origin if origin and origin.decode("latin-1") in named else b""


def is_preflight(scope: Any) -> bool:
    names = {name for name, _value in scope["headers"]}
    return scope["method"] == "OPTIONS" and b"access-control-request-method" in names


async def answer_preflight(origin: bytes, send: Any) -> None:
    headers = [*cors_headers(origin), *ALLOWED.items(), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body"})


async def exchange(scope: Any, receive: Any, send: Any, handle: Any) -> None:
    """Answer one request of the API by `handle`, and note it in the log."""
    origin = allowed_origin(scope)
    if origin and is_preflight(scope):
        await answer_preflight(origin, send)
        return
    with visiting(scope["method"], scope["path"]) as visit:
        try:
            await handle(scope, receive, Exchange(visit, send, origin).send)
        finally:
            note_end(visit)
            await visit.settle()


def keep_body(body: IO[bytes]) -> None:
    """The beginning of what was sent, if the settings say that it is kept."""
    if KEEP_BODIES.value == "on" and (visit := current_visit()):
        visit.body = body.read(KEPT_BYTES).decode(errors="replace").replace("\x00", "\N{REPLACEMENT CHARACTER}")
        body.seek(0)


def note_end(visit: Visit) -> None:
    """Its row in the request log is written soon."""
    if visit.path.startswith(QUIET):
        return
    if not visit.complete:
        visit.status, visit.code = CLIENT_GONE, "client_gone"
    visit.endpoint = f"{visit.method} {_route(visit.path)}"
    visit.seconds = time.monotonic() - visit.began
    writer.add(visit)


@functools.lru_cache(maxsize=KNOWN_ROUTES)
def _route(path: str) -> str:
    """The pattern and not the path: ids would make every request its own endpoint."""
    try:
        return "/" + resolve(path).route.replace("path:", "").replace("str:", "")
    except Resolver404:
        return "unknown"
