"""The lean handler holds to what Django's private parts promise today: this fails when they change."""

import asyncio
import json

import pytest
from django.core.signals import request_finished, request_started
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from fmlx_site.lean import LeanHandler

ended = []


async def stream(request):
    async def chunks():
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            ended.append("generator")

    return StreamingHttpResponse(chunks())


async def slow(request):
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ended.append("view")
        raise


async def breaks(request):
    raise ZeroDivisionError


async def echo(request):
    return HttpResponse(request.body)


urlpatterns = [path("v1/stream", stream), path("v1/slow", slow), path("v1/breaks", breaks), path("v1/echo", echo)]
pytestmark = pytest.mark.urls(__name__)


class Client:
    """One HTTP exchange at the ASGI level, where a test decides when the client goes."""

    def __init__(self, url, body=b""):
        self.scope = {"type": "http", "method": "POST", "path": url, "headers": [], "query_string": b""}
        self.inbox, self.sent = asyncio.Queue(), []
        self.inbox.put_nowait({"type": "http.request", "body": body})

    async def send(self, message):
        self.sent.append(message)

    def start(self, handler):
        return asyncio.create_task(handler(self.scope, self.inbox.get, self.send))

    async def until_sent(self, count):
        while len(self.sent) < count:  # noqa: ASYNC110 - every step of the loop is looked at
            await asyncio.sleep(0)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def body(self):
        return b"".join(message.get("body", b"") for message in self.sent[1:])


@pytest.fixture
def handler():
    ended.clear()
    return LeanHandler()


async def test_a_client_that_goes_ends_its_stream(handler):
    client = Client("/v1/stream")
    serving = client.start(handler)
    await client.until_sent(2)
    client.inbox.put_nowait({"type": "http.disconnect"})
    await serving
    assert ended == ["generator"]
    assert client.body == b"first"


async def test_a_client_that_goes_ends_its_view_before_any_answer(handler):
    client = Client("/v1/slow")
    serving = client.start(handler)
    while not ended:
        client.inbox.put_nowait({"type": "http.disconnect"})
        await asyncio.sleep(0)
    await serving
    assert (ended, client.sent) == (["view"], [])


async def test_a_server_that_stops_ends_streams_in_good_order(handler):
    client = Client("/v1/stream")
    serving = client.start(handler)
    await client.until_sent(2)
    handler.end_streams()
    await serving
    assert ended == ["generator"]
    assert not client.sent[-1].get("more_body", False)


async def test_an_error_in_a_view_is_openais_object_and_not_a_page(handler):
    client = Client("/v1/breaks")
    await client.start(handler)
    assert client.status == 500
    assert set(json.loads(client.body)["error"]) == {"message", "type", "param", "code"}


async def test_a_body_over_the_limit_is_refused_while_it_comes(handler, settings):
    settings.FMLX = settings.FMLX.model_copy(update={"body_max_bytes": 10})
    client = Client("/v1/echo", b"x" * 10)
    await client.start(handler)
    assert (client.status, client.body) == (200, b"x" * 10)
    client = Client("/v1/echo")
    client.inbox = asyncio.Queue()
    for _ in range(3):
        client.inbox.put_nowait({"type": "http.request", "body": b"x" * 5, "more_body": True})
    await client.start(handler)
    assert client.status == 413


async def test_no_thread_and_no_signal_per_request(handler):
    """What makes it lean: a request that asks for nothing blocking stays on the event loop."""
    seen = []
    for signal in (request_started, request_finished):
        signal.connect(seen.append, weak=False, dispatch_uid="seen")
    try:
        await Client("/v1/echo").start(handler)
    finally:
        for signal in (request_started, request_finished):
            signal.disconnect(dispatch_uid="seen")
    assert seen == []
