"""Tells an answer's thoughts, text and calls apart while the text comes in pieces of any size.

Streamed or not, the same pieces come out. White space beside a mark belongs to the mark.
"""

import uuid
from enum import StrEnum
from typing import Protocol

from inference.engine.speech.marks import Marks
from inference.engine.speech.pieces import Arguments, Called, Piece, Said, Thought
from inference.engine.speech.readers import MakeReader, Reader, Unreadable


class Start(StrEnum):
    """How an answer begins: within a thought that the prompt opened, perhaps with one, or with text."""

    THINKING = "thinking"
    EITHER = "either"
    TEXT = "text"


class State(StrEnum):
    START = "start"
    THOUGHT = "thought"
    TEXT = "text"
    CALL = "call"


BEGINNINGS = {Start.THINKING: State.THOUGHT, Start.EITHER: State.START, Start.TEXT: State.TEXT}


class Held(Protocol):
    """Knows how many of the calls, so far, a grammar holds to their form."""

    held_calls: int


class Speech:
    """`read` makes readers of calls, if the model was given tools; with `one_call` it is `over` after the first."""

    def __init__(
        self,
        marks: Marks,
        start: Start = Start.TEXT,
        read: MakeReader | None = None,
        guide: Held | None = None,
        *,
        one_call: bool = False,
    ) -> None:
        self._marks, self._read, self._guide, self._one_call = marks, read, guide, one_call
        self.state = BEGINNINGS[start] if marks.think_start else State.TEXT
        self.calls = 0
        self.over = False
        self.warning = ""
        self._held = ""
        self._fresh = True  # nothing but white space since the last mark
        self._after_mark = self.state == State.THOUGHT
        self._reader: Reader | None = None
        self._raw = ""  # of the call that is read
        self._out: list[Piece] = []

    def feed(self, text: str) -> list[Piece]:
        self._held += text
        while not self.over and self._step():
            pass
        return self._taken()

    def finish(self) -> list[Piece]:
        """Nothing more comes: what looked like the beginning of a mark is text."""
        if self.over:
            return []
        if self.state == State.THOUGHT:
            self._think(self._held.rstrip())
        elif self.state == State.CALL:
            self._raw += self._held
            if self._reader:
                self._reader.feed(self._held)
            self._end_call()
        elif self._held.strip() or not self._after_mark:
            self._say(self._held)
        self._held = ""
        return self._taken()

    def _taken(self) -> list[Piece]:
        out, self._out = self._out, []
        return out

    def _step(self) -> bool:
        """One move; False when more text is needed."""
        if self.state == State.START:
            return self._start()
        if self.state == State.THOUGHT:
            return self._go_on_thinking()
        if self.state == State.CALL:
            return self._go_on_calling()
        return self._go_on_saying()

    def _start(self) -> bool:
        mark = self._marks.think_start.text if self._marks.think_start else ""
        start = self._held.lstrip()
        if start.startswith(mark):
            self._enter(State.THOUGHT, start.removeprefix(mark))
            return True
        if mark.startswith(start):
            return False
        self.state = State.TEXT
        return True

    def _go_on_thinking(self) -> bool:
        mark = self._marks.think_end.text if self._marks.think_end else ""
        thought, found, rest = self._held.partition(mark)
        if found:
            self._think(thought.rstrip())
            self._enter(State.TEXT, rest)
            return True
        shown = self._held[: len(self._held) - overlap(self._held, mark)].rstrip()
        self._think(shown)
        self._held = self._held[len(shown) :]
        return False

    def _think(self, thought: str) -> None:
        if self._fresh:
            thought = thought.lstrip()
        if thought:
            self._fresh = False
            self._out.append(Thought(thought))

    def _go_on_saying(self) -> bool:
        mark = self._marks.call_start.text if self._read and self._marks.call_start else ""
        if not mark:
            if self._after_mark and self._fresh and not self._held.strip():
                return False
            self._say(self._held)
            self._held = ""
            return False
        text, found, rest = self._held.partition(mark)
        if found:
            if text.strip():
                self._say(text)
            self._enter(State.CALL, rest)
            self._begin_call(mark)
            return True
        shown = self._held[: len(self._held) - overlap(self._held, mark)]
        if self._fresh and not shown.strip():
            return False
        self._say(shown)
        self._held = self._held[len(shown) :]
        return False

    def _say(self, text: str) -> None:
        if self._fresh and self._after_mark:
            text = text.lstrip("\n")
        if text:
            self._fresh = False
            self._out.append(Said(text))

    def _enter(self, state: State, rest: str) -> None:
        self.state, self._held = state, rest
        self._fresh = self._after_mark = True

    # calls

    def _begin_call(self, mark: str) -> None:
        self._raw = mark
        held = self._guide is not None and self._guide.held_calls > self.calls
        self._reader = self._read(held, self) if self._read else None

    def _go_on_calling(self) -> bool:
        mark = self._marks.call_end.text if self._marks.call_end else ""
        at = self._held.find(mark) if mark else -1
        ends = at >= 0
        size = at if ends else len(self._held) - (overlap(self._held, mark) if mark else 0)
        body, self._held = self._held[:size], self._held[size:]
        self._raw += body
        if self._reader:
            self._reader.feed(body)
        if not ends:
            return False
        self._raw += mark
        self._held = self._held.removeprefix(mark)
        if self._reader and self._reader.inside:
            self._reader.feed(mark)
            return True
        rest = self._held
        self._end_call()
        self._enter(State.TEXT, rest)
        self.over = self._one_call and self.calls > 0
        return True

    def _end_call(self) -> None:
        try:
            if self._reader:
                self._reader.end()
        except Unreadable as problem:
            self.warning = f"What began as a tool call is given as text: {problem}."
            self._out.append(Said(self._raw))
        self._reader, self._raw = None, ""

    def begin(self, name: str, id_: str | None) -> None:
        """A reader found a call."""
        index, self.calls = self.calls, self.calls + 1
        self._out.append(Called(index, id_ or f"call_{uuid.uuid4().hex[:24]}", name))

    def add(self, arguments: str) -> None:
        if arguments:
            self._out.append(Arguments(self.calls - 1, arguments))


def overlap(text: str, mark: str) -> int:
    """How many characters at the end may be the beginning of a mark."""
    longest = min(len(text), len(mark) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(mark[:size])), 0)
