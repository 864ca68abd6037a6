"""What the next token of one sequence may be: anything, what a grammar allows, or one token only. No MLX here."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from llguidance import LLMatcher
from numpy.typing import NDArray

from inference.engine.speech.marks import Mark, Marks
from inference.engine.speech.speech import Start

Words: TypeAlias = NDArray[np.int32]  # a bit for each token of the vocabulary
ALL = -1


class Phase(StrEnum):
    START = "start"  # the first token may begin a thought
    THOUGHT = "thought"
    FREE = "free"
    ANSWER = "answer"  # held to a grammar
    CALL = "call"
    AFTER = "after"  # after a call that was asked for
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Plan:
    """`budget`: tokens of thought, then it is ended; 0 means that there is none. `answer` makes matchers of the whole
    answer, `call` of what is between the marks of a call; `forced`: there is a call first, and nothing else. What is
    held to a form from its first token on comes after a thought only where `thinks` says that one is to be expected."""

    marks: Marks
    eos: frozenset[int]
    width: int  # of masks, in tokens
    start: Start
    thinks: bool = True
    budget: int | None = None
    answer: Callable[[], LLMatcher] | None = None
    call: Callable[[], LLMatcher] | None = None
    forced: bool = False
    parallel: bool = True
    failed: Callable[[], None] = lambda: None  # told when a matcher gave up

    @property
    def idle(self) -> bool:
        """Nothing will ever be held."""
        thinks = self.marks.think_end is not None and self.start != Start.TEXT and self.budget is not None
        return not (thinks or self.answer or self.call)


class Guide:
    """Told every token of a sequence as it is fed to the model; asked before the next is drawn."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._matcher: LLMatcher | None = None
        self._ahead: deque[int] = deque()  # tokens that must come next
        self._then: Callable[[], None] | None = None  # once they have come
        self._thought = 0
        longest = max((len(mark.tokens) for mark in _all(plan.marks)), default=1)
        self._tail: deque[int] = deque(maxlen=longest)
        self._may_call = False  # instead of the answer that is held to a grammar
        self.held_calls = 0  # calls that a grammar holds to their form, so far
        self.phase = Phase.START
        self._begin()

    def _begin(self) -> None:
        plan = self._plan
        at_once = not plan.thinks and bool(plan.answer or plan.forced)
        if plan.start == Start.THINKING and plan.marks.think_end:
            self._think()
        elif plan.start == Start.TEXT or not plan.marks.think_start or at_once:
            self._answer()

    @property
    def width(self) -> int:
        return self._plan.width

    @property
    def matcher(self) -> LLMatcher | None:
        """Whose mask the next token needs, before `adjust`."""
        return None if self._ahead else self._matcher

    @property
    def loose(self) -> bool:
        """The next token may be any."""
        return not self._ahead and self._matcher is None and self.phase in (Phase.THOUGHT, Phase.FREE, Phase.DONE)

    def adjust(self, words: Words) -> None:
        """Change the mask of the next token, which is all ones or the matcher's. Raises ValueError if none is left."""
        if self._ahead:
            _only(words, self._ahead[0])
        elif self.phase == Phase.START:
            self._adjust_start(words)
        elif self.phase == Phase.ANSWER and self._may_call:
            _allow(words, self._plan.marks.call_start.tokens[0] if self._plan.marks.call_start else 0)
        elif self.phase == Phase.CALL and self._matcher:
            self._adjust_call(words)
        elif self.phase == Phase.AFTER:
            words[:] = 0
            _allow(words, *self._plan.eos)
            if self._plan.parallel and self._plan.marks.call_start:
                _allow(words, self._plan.marks.call_start.tokens[0])
        if self._matcher and self._matcher.is_error():
            self._plan.failed()
            raise ValueError(str(self._matcher.get_error())[:600])
        if not words.any():
            raise ValueError("no token of this model continues the answer")

    def take(self, token: int) -> None:
        self._tail.append(token)
        if self._ahead:
            self._ahead.popleft()
            if not self._ahead and self._then:
                then, self._then = self._then, None
                then()
        elif token in self._plan.eos:
            self._finish()
        else:
            TAKE[self.phase](self, token)

    # the phases

    def _take_start(self, token: int) -> None:
        mark = self._plan.marks.think_start
        if mark and token == mark.tokens[0] and self._plan.budget != 0:
            self._force(mark.tokens[1:], self._think)
        else:
            self._answer()
            self.take(token)

    def _think(self) -> None:
        self.phase, self._matcher = Phase.THOUGHT, None
        if self._plan.budget == 0:
            self._end_thought()

    def _take_thought(self, token: int) -> None:
        self._thought += 1
        if self._ends_with(self._plan.marks.think_end):
            self._answer()
        elif self._plan.budget is not None and self._thought >= self._plan.budget:
            self._end_thought()

    def _end_thought(self) -> None:
        mark = self._plan.marks.think_end
        self._force(mark.tokens if mark else (), self._answer)

    def _answer(self) -> None:
        plan = self._plan
        self.phase, self._matcher = Phase.FREE, None
        if plan.forced and plan.marks.call_start:
            self._force(plan.marks.call_start.tokens, self._call)
        elif plan.answer:
            self.phase, self._matcher = Phase.ANSWER, plan.answer()
            self._may_call = plan.call is not None and plan.marks.call_start is not None

    def _take_free(self, token: int) -> None:
        if self._plan.call and self._ends_with(self._plan.marks.call_start):
            self._call()

    def _take_answer(self, token: int) -> None:
        mark, first = self._plan.marks.call_start, self._may_call
        self._may_call = False
        if first and mark and token == mark.tokens[0]:
            self._matcher = None
            self._force(mark.tokens[1:], self._call)
        elif self._matcher:
            self._matcher.consume_token(token)

    def _call(self) -> None:
        self.phase, self.held_calls = Phase.CALL, self.held_calls + 1
        self._matcher = self._plan.call() if self._plan.call else None

    def _adjust_call(self, words: Words) -> None:
        end = self._plan.marks.call_end
        complete = self._matcher is not None and self._matcher.is_accepting()
        for token in self._plan.eos:
            _forbid(words, token)
        if complete:
            _allow(words, *(end.tokens[:1] if end else self._plan.eos))

    def _take_call(self, token: int) -> None:
        end, matcher = self._plan.marks.call_end, self._matcher
        if matcher is None:
            return
        if end and token == end.tokens[0] and matcher.is_accepting() and not matcher.validate_tokens([token]):
            self._matcher = None
            self._force(end.tokens[1:], self._end_call)
        else:
            matcher.consume_token(token)

    def _end_call(self) -> None:
        self.phase = Phase.AFTER if self._plan.forced or self._plan.answer else Phase.FREE

    def _take_after(self, token: int) -> None:
        mark = self._plan.marks.call_start
        self._force(mark.tokens[1:] if mark else (), self._call)

    def _finish(self) -> None:
        self.phase, self._matcher = Phase.DONE, None

    def _take_done(self, token: int) -> None:
        """An end token was fed that is to be ignored."""

    def _force(self, tokens: tuple[int, ...], then: Callable[[], None]) -> None:
        self._ahead.extend(tokens)
        if tokens:
            self._then = then
        else:
            then()

    def _adjust_start(self, words: Words) -> None:
        """The first token: what the answer may begin with, or the mark of a thought."""
        plan, mark = self._plan, self._plan.marks.think_start
        first = mark.tokens[0] if mark else 0
        if plan.forced and plan.marks.call_start:
            _only(words, plan.marks.call_start.tokens[0])
        elif plan.answer:
            words[:] = np.frombuffer(plan.answer().compute_bitmask(), dtype=np.int32)[: words.size]
            if plan.call and plan.marks.call_start:
                _allow(words, plan.marks.call_start.tokens[0])
        if plan.budget == 0:
            _forbid(words, first)
        else:
            _allow(words, first)

    def _ends_with(self, mark: Mark | None) -> bool:
        return mark is not None and tuple(self._tail)[-len(mark.tokens) :] == mark.tokens


TAKE: dict[Phase, Callable[[Guide, int], None]] = {
    Phase.START: Guide._take_start,  # noqa: SLF001 - the phases are the guide's own
    Phase.THOUGHT: Guide._take_thought,  # noqa: SLF001
    Phase.FREE: Guide._take_free,  # noqa: SLF001
    Phase.ANSWER: Guide._take_answer,  # noqa: SLF001
    Phase.CALL: Guide._take_call,  # noqa: SLF001
    Phase.AFTER: Guide._take_after,  # noqa: SLF001
    Phase.DONE: Guide._take_done,  # noqa: SLF001
}


def _all(marks: Marks) -> list[Mark]:
    return [mark for mark in (marks.think_start, marks.think_end, marks.call_start, marks.call_end) if mark]


def _only(words: Words, token: int) -> None:
    words[:] = 0
    _allow(words, token)


def _allow(words: Words, *tokens: int) -> None:
    bits: Any = words.view(np.uint32)
    for token in tokens:
        bits[token // 32] |= np.uint32(1 << (token % 32))


def _forbid(words: Words, token: int) -> None:
    bits: Any = words.view(np.uint32)
    bits[token // 32] &= np.uint32(~(1 << (token % 32)) & 0xFFFFFFFF)
