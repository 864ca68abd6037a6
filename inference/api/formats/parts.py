"""An answer as parts that follow one another: thoughts, text, calls of tools. Anthropic's blocks and OpenAI's items are
both made from them, whole or piece by piece."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from fmlx_site.errors import FmlxError
from inference.client import Event

Json = dict[str, Any]
Kind = Literal["reasoning", "text", "call"]


@dataclass(slots=True)
class Part:
    """`index` is its place in the answer; `id` and `name` are of a call, whose text is the JSON of its arguments."""

    kind: Kind
    index: int
    id: str = ""
    name: str = ""
    said: list[str] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    call: int = 0  # which of the answer's calls

    @property
    def text(self) -> str:
        return "".join(self.said)


@dataclass(frozen=True, slots=True)
class Piece:
    """What a delta adds to one part."""

    kind: Kind
    text: str
    call: Json = field(default_factory=dict)
    logprobs: Sequence[Json] = ()

    def belongs_to(self, part: Part) -> bool:
        return part.kind == self.kind and (self.kind != "call" or part.call == self.call.get("index", 0))


def pieces_of(delta: Event) -> Iterator[Piece]:
    if reasoning := delta.get("reasoning"):
        yield Piece("reasoning", reasoning)
    if delta.get("text") or delta.get("logprobs"):
        yield Piece("text", delta.get("text", ""), logprobs=delta.get("logprobs") or ())
    for call in delta.get("tool_calls") or ():
        yield Piece("call", call.get("arguments") or "", call)


def parts_of(choice: Event) -> list[Part]:
    """Of a whole choice."""
    parts: list[Part] = []
    calls = [{**call, "index": number} for number, call in enumerate(choice.get("tool_calls") or ())]
    for piece in pieces_of({**choice, "tool_calls": calls}):
        parts.append(_part(piece, len(parts)))
        _add(parts[-1], piece)
    return parts


def _part(piece: Piece, index: int) -> Part:
    call = piece.call
    return Part(piece.kind, index, str(call.get("id") or ""), str(call.get("name") or ""), call=call.get("index", 0))


def _add(part: Part, piece: Piece) -> None:
    part.said.append(piece.text)
    part.logprobs += piece.logprobs


class PartsWire(ABC):
    """One call whose answer has one choice. Nothing is said before there is something to say, so that what fails until
    then has a status of its own."""

    keep_alive: bytes
    id: str

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.facts: Event = {}
        self.prompt_tokens = 0
        self.warning = ""
        self._started = False
        self._open = False

    def begin(self, facts: Event, prompt_tokens: int) -> None:
        self.facts, self.prompt_tokens = facts, prompt_tokens

    def chunks(self, number: int, first: int, events: Sequence[Event]) -> bytes:
        return b"".join(self._delta(event) for event in events if "phase" not in event)

    def end(self, finished: Sequence[Event]) -> bytes:
        return self._start() + self._close() + self.closing(finished[0])

    def choice(self, number: int, choice: Event, first: int) -> Json:
        self.parts, self.warning = parts_of(choice), choice.get("warning") or ""
        return choice

    @abstractmethod
    def whole(self, facts: Event, choices: Sequence[Json], finished: Sequence[Event]) -> bytes: ...

    @abstractmethod
    def opening(self) -> bytes:
        """What begins a stream."""

    @abstractmethod
    def opened(self, part: Part) -> bytes: ...

    @abstractmethod
    def piece(self, part: Part, text: str, logprobs: Sequence[Json]) -> bytes: ...

    @abstractmethod
    def closed(self, part: Part, *, cut: bool) -> bytes:
        """`cut`: the answer ended within it, for want of tokens."""

    @abstractmethod
    def closing(self, finished: Event) -> bytes:
        """What ends a stream."""

    @abstractmethod
    def error(self, failure: FmlxError) -> bytes:
        """What ends a stream that fails."""

    def _delta(self, delta: Event) -> bytes:
        said = b"".join([self._say(piece) for piece in pieces_of(delta)])
        if reason := delta.get("reason"):
            self.warning = delta.get("warning") or ""
            return self._start() + said + self._close(cut=reason == "length")
        return said

    def _say(self, piece: Piece) -> bytes:
        said = b""
        if not (self._open and piece.belongs_to(self.parts[-1])):
            said = self._start() + self._close()
            self.parts.append(_part(piece, len(self.parts)))
            self._open = True
            said += self.opened(self.parts[-1])
        part = self.parts[-1]
        _add(part, piece)
        return said + self.piece(part, piece.text, piece.logprobs) if piece.text or piece.logprobs else said

    def _start(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        return self.opening()

    def _close(self, *, cut: bool = False) -> bytes:
        if not self._open:
            return b""
        self._open = False
        return self.closed(self.parts[-1], cut=cut)
