"""One request on an engine's socket: sent, answered by events as they come, and aborted when the asker leaves."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NotRequired, Protocol, TypedDict

from fmlx_site.errors import BodyTooLarge
from inference.errors import EngineRefused
from memory.protocol import MAX_LINE_BYTES, encode

Event = dict[str, Any]
ENDS = frozenset({"refused", "finished", "failed", "aborted", "probed", "tokenised"})
CANCELLED = {"status": 400, "code": "request_cancelled", "message": "The request was cancelled by its key."}
MAX_REQUEST_BYTES = MAX_LINE_BYTES - 4096  # the rest is for the envelope
LISTS = ("inputs", "firsts", "seconds")  # of texts, for an encoder
WORST_ESCAPE = 12  # bytes of JSON that one character becomes when it is outside the basic plane


class CallPiece(TypedDict):
    """A piece of a tool call: the first has its `id` and `name`; the `arguments` of all are one JSON text."""

    index: int
    id: NotRequired[str]
    name: NotRequired[str]
    arguments: str


class Delta(TypedDict):
    """What a streamed choice gained: a thought, then text, then pieces of calls. The last has the `reason`."""

    id: str
    index: int
    text: str
    reasoning: NotRequired[str]
    tool_calls: NotRequired[list[CallPiece]]
    tokens: int
    logprobs: NotRequired[list[Event]]
    reason: NotRequired[str]
    warning: NotRequired[str]


class ToolCall(TypedDict):
    id: str
    name: str
    arguments: str


class Choice(TypedDict):
    """A finished choice; what it said is here only if the request was not streamed. `reason` is stop, length or
    tool_calls."""

    index: int
    reason: str
    tokens: int
    stop: NotRequired[str | int]
    text: NotRequired[str]
    reasoning: NotRequired[str]
    tool_calls: NotRequired[list[ToolCall]]
    warning: NotRequired[str]
    logprobs: NotRequired[list[Event]]


class Engine(Protocol):
    """What serves one model's requests, in this process's node or behind another's door."""

    def ask(self, request: Event) -> AbstractAsyncContextManager["Answer"]:
        """Send one request. The block runs once it is accepted; leaving it before the end aborts the work.

        Raises:
            EngineRefused: with the engine's own status and code; or it died.
        """

    async def probe(self, request: Event) -> Event:
        """Which blocks of a request's prompt are in the prefix cache. Raises EngineRefused."""

    async def tokens(self, request: Event) -> Event:
        """A prompt as tokens, or tokens as text (`inference/engine/tokenising.py`). Raises EngineRefused."""


class Answer:
    """What an engine says about one request, for one reader; `facts` is what it said of its model when it was ready."""

    def __init__(self, id_: str, facts: Event) -> None:
        self.id, self.facts = id_, facts
        self.holder: str | None = None  # who asks
        self.ended = self.cancelled = False
        self.accepted: Event = {}
        self._events: deque[Event] = deque()
        self._reader: asyncio.Future[None] | None = None

    def push(self, event: Event) -> None:
        """Deltas have no phase."""
        if self.ended:
            return
        self.ended = event.get("phase") in ENDS
        self._events.append(event)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def cancel(self) -> None:
        """Somebody wants it ended, who is not its reader."""
        self.cancelled = True
        self.push({"phase": "failed", **CANCELLED})

    async def verdict(self, wanted: str = "accepted") -> None:
        """Wait until the engine took the request. Raises EngineRefused."""
        while not self._events:
            await self._wait(None)
        first = self._events.popleft()
        if first.get("phase") != wanted:
            raise EngineRefused(first)
        self.accepted = first

    async def next(self, seconds: float | None = None) -> list[Event]:
        """Everything said since; nothing, if there is nothing for so long. Raises EngineRefused in a failure's turn."""
        if not self._events:
            await self._wait(seconds)
        events: list[Event] = []
        while self._events:
            if self._events[0].get("phase") in ("failed", "aborted"):
                if events:
                    break
                raise EngineRefused(self._events.popleft())
            events.append(self._events.popleft())
        return events

    async def _wait(self, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        self._reader = loop.create_future()
        timer = loop.call_later(seconds, _done, self._reader) if seconds is not None else None
        try:
            await self._reader
        finally:
            self._reader = None
            if timer:
                timer.cancel()


class Line(Protocol):
    """An engine's socket: what `Resident` offers."""

    answers: dict[str, Answer]
    facts: Event

    async def send(self, type_: str, **fields: Any) -> None: ...
    def abort_soon(self, id_: str) -> None: ...


@asynccontextmanager
async def ask(line: Line, request: Event) -> AsyncIterator[Answer]:
    _check_size(request)
    answer = line.answers[request["id"]] = Answer(request["id"], line.facts)
    answer.holder = request.get("holder")
    try:
        await line.send("request", **request)
        await answer.verdict()
        yield answer
    finally:
        del line.answers[answer.id]
        if not answer.ended or answer.cancelled:
            line.abort_soon(answer.id)


async def probe(line: Line, request: Event) -> Event:
    return await _inquire(line, {**request, "probe": True}, "probed")


async def tokens(line: Line, request: Event) -> Event:
    return await _inquire(line, {**request, "tokenise": True}, "tokenised")


async def _inquire(line: Line, request: Event, wanted: str) -> Event:
    """What an engine says without computing."""
    _check_size(request)
    answer = line.answers[request["id"]] = Answer(request["id"], line.facts)
    try:
        await line.send("request", **request)
        await answer.verdict(wanted)
        return answer.accepted
    finally:
        del line.answers[answer.id]


def _check_size(request: Event) -> None:
    """A line has a limit that a body within its own may pass, since characters beyond ASCII are escaped."""
    if _characters(request) * WORST_ESCAPE > MAX_REQUEST_BYTES and len(encode(request)) > MAX_REQUEST_BYTES:
        raise BodyTooLarge(f"The prompt is over the {MAX_REQUEST_BYTES} bytes that an engine reads at once.")


def _characters(request: Event) -> int:
    texts = [request.get("prompt"), *(message.get("content") for message in request.get("messages", ()))]
    texts += [text for name in LISTS for text in request.get(name, ())]
    return sum(len(text) for text in texts if isinstance(text, str))


def _done(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
