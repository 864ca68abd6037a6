"""One call on a model, whole or as a stream: the engine, its requests, and the wire they are answered on."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from fmlx_site.errors import FmlxError
from inference.api import sse
from inference.api.errors import note
from inference.api.wire import Wire
from inference.catalog import Served
from inference.client import Answer, Engine, Event
from inference.pool import engine_for
from inference.request_log.visit import current_key, current_visit

KEEP_ALIVE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Call:
    """What a client asked: a request of the engine's for each prompt, `n` choices each."""

    model: Served
    requests: Sequence[Event]
    n: int
    stream: bool
    wire: Wire
    keep: Callable[[], Awaitable[None]] | None = None  # done when all is said, before its end is sent


async def respond(call: Call) -> HttpResponseBase:
    """Raises what the pool and the engine refuse with, as long as nothing has been sent."""
    response: HttpResponseBase
    if call.stream:
        response = await sse.begun(stream_of(call))
    else:
        response = HttpResponse(await _whole(call, _begun(call)), content_type="application/json")
    response["X-Request-Id"] = call.wire.id
    return response


def stream_of(call: Call) -> AsyncGenerator[bytes]:
    """What fails before the first chunk is raised; later it is an `error` event, and no end comes."""
    return _stream(call, _begun(call))


def _begun(call: Call) -> list[Event]:
    """The engine's requests, with what the operator decided for those that do not say."""
    if visit := current_visit():
        visit.model, visit.streamed = call.model.name, call.stream
    key = current_key()
    own = {**call.model.sampling, "holder": str(key.pk) if key else None}
    return [{**own, **request, "id": f"{call.wire.id}-{number}"} for number, request in enumerate(call.requests)]


def _finish(finished: Sequence[Event]) -> None:
    if visit := current_visit():
        visit.finished(finished)


async def _whole(call: Call, requests: Sequence[Event]) -> bytes:
    async with engine_for(call.model) as engine, _asked(engine, requests) as answers:
        finished = [await _finished(answer) for answer in answers]
        facts = answers[0].facts
    _finish(finished)
    choices = [
        call.wire.choice(number, choice, number * call.n)
        for number, event in enumerate(finished)
        for choice in event["choices"]
    ]
    body = call.wire.whole(facts, choices, finished)
    if call.keep:
        await call.keep()
    return body


async def _finished(answer: Answer) -> Event:
    while True:
        events = await answer.next()
        if events[-1].get("phase") == "finished":
            return events[-1]


async def _stream(call: Call, requests: Sequence[Event]) -> AsyncGenerator[bytes]:
    began = False
    try:
        async with AsyncExitStack() as stack:
            stack.enter_context(sse.told_of_stop())
            loading = asyncio.ensure_future(stack.enter_async_context(engine_for(call.model)))
            async with aclosing(_while_it_takes(loading, call.wire.keep_alive)) as comments:
                async for comment in comments:
                    began = bool(comment)
                    yield comment
            answers = await stack.enter_async_context(_asked(await loading, requests))
            call.wire.begin(answers[0].facts, _prompt_tokens(answers))
            async with _merged(answers) as merged:
                async for chunk in _chunks(call, merged, len(answers)):
                    began = began or bool(chunk)
                    yield chunk
    except FmlxError as error:
        if not began:
            raise
        note(error.code)
        last = call.wire.error(error)
        if call.keep:
            with suppress(FmlxError):
                await call.keep()
        yield last


async def _while_it_takes(work: asyncio.Future[Engine], keep_alive: bytes) -> AsyncGenerator[bytes]:
    """A comment every ten seconds until the work is done, which ends with the listener."""
    try:
        while not (await asyncio.wait({work}, timeout=KEEP_ALIVE_SECONDS))[0]:
            yield keep_alive
    finally:
        if not work.done():
            work.cancel()
            await asyncio.wait({work})


async def _chunks(call: Call, merged: "Merged", left: int) -> AsyncIterator[bytes]:
    finished: list[Event] = []
    said, visit = time.monotonic(), current_visit()
    while len(finished) < left:
        number, events = await merged.next()
        if chunk := call.wire.chunks(number, number * call.n, events):
            said = time.monotonic()
            if visit:
                visit.gave(_tokens(events))
            yield chunk
        elif time.monotonic() - said >= KEEP_ALIVE_SECONDS:  # the events of a long prefill are nothing to a client
            said = time.monotonic()
            yield call.wire.keep_alive
        finished += [event for event in events if event.get("phase") == "finished"]
    _finish(finished)
    said_last = call.wire.end(finished)
    if call.keep:
        await call.keep()
    yield said_last


@asynccontextmanager
async def _asked(engine: Engine, requests: Sequence[Event]) -> AsyncIterator[list[Answer]]:
    """Every request accepted, or none left on the engine."""
    async with AsyncExitStack() as stack:
        answers = [await stack.enter_async_context(engine.ask(request)) for request in requests]
        if visit := current_visit():
            visit.accepted(_prompt_tokens(answers))
        yield answers


def _prompt_tokens(answers: Sequence[Answer]) -> int:
    return sum(int(answer.accepted.get("prompt_tokens") or 0) for answer in answers)


def _tokens(events: Sequence[Event]) -> int:
    return sum(int(event.get("tokens") or 0) for event in events if "phase" not in event)


class Merged:
    """What several answers say, each with its number, in the order it comes."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = answers
        self._said: asyncio.Queue[tuple[int, list[Event] | FmlxError]] = asyncio.Queue()

    async def next(self) -> tuple[int, list[Event]]:
        """Nothing, if there is nothing for ten seconds. Raises what an answer failed with."""
        if len(self._answers) == 1:
            return 0, await self._answers[0].next(KEEP_ALIVE_SECONDS)
        try:
            async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                number, said = await self._said.get()
        except TimeoutError:
            return 0, []
        if isinstance(said, FmlxError):
            raise said
        return number, said

    async def gather(self, number: int) -> None:
        answer = self._answers[number]
        with suppress(asyncio.CancelledError):
            while True:
                try:
                    self._said.put_nowait((number, events := await answer.next()))
                except FmlxError as error:
                    self._said.put_nowait((number, error))
                    return
                if events[-1].get("phase") == "finished":
                    return


@asynccontextmanager
async def _merged(answers: Sequence[Answer]) -> AsyncIterator[Merged]:
    merged = Merged(answers)
    tasks = [asyncio.create_task(merged.gather(number)) for number in range(len(answers))] if len(answers) > 1 else []
    try:
        yield merged
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)
