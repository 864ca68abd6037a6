"""The part of a tick that fills caches: whose prompt, how long a chunk, and whether the gate lets it."""

import sys
import time
import traceback
from collections.abc import Callable, Iterator

from inference.engine.bounds import Bounds
from inference.engine.bunch import Bunch, Filled, bunch, filled
from inference.engine.cache.prefix import PrefixCache
from inference.engine.decisions import Decision
from inference.engine.gate import FLOOR_TOKENS, Gate
from inference.engine.models import Loaded
from inference.engine.pace import Pace
from inference.engine.prefill import Prefill, next_of

IDLE_GAPS = 4  # with nobody decoding a chunk may take so many gaps: it delays only aborts and newcomers


class Prefilling:
    def __init__(
        self, loaded: Loaded, bounds: Bounds, gate: Gate, pace: Pace, gap: float, *, prefixes: PrefixCache
    ) -> None:
        self._prefixes = prefixes
        self._loaded, self._bounds, self._gate, self._pace, self._gap = loaded, bounds, gate, pace, gap
        self.active: list[Prefill] = []
        self.held_up: Prefill | None = None  # by the gate: not even the floor passes
        self.chunk_tokens = 0
        self.prompt_tokens = 0
        self.step_seconds = 0.0  # what a decode step of everybody takes; set by the engine

    def run(self, besides: int, decoding: bool) -> Iterator[Prefill]:
        """Fill caches for the time a tick has for it: one chunk, or several short prompts. Yields after each chunk.

        `besides`: bytes that decode steps under way may take besides.
        """
        budget = max(self._gap - self.step_seconds, self._gap / 4) if decoding else self._gap * IDLE_GAPS
        ends, left, last = time.monotonic() + budget, budget, None
        self.held_up = None
        while left > 0:
            prefill = next_of(one for one in self.active if one.remaining)
            if prefill is None or prefill is last:
                return
            if self._prefixes.restore(prefill, left):
                yield prefill
                left = ends - time.monotonic()
                continue
            tokens = self._fit(prefill, left, besides)
            if tokens == 0:
                self._decide("waited", prefill, prefill.clip(FLOOR_TOKENS), besides)
                self.held_up = prefill
                return
            if last is not None and tokens * self._pace.rate(prefill.done) > left:
                return  # it would end late
            together = self._bunch(prefill, left, besides)
            if len(together.prefills) > 1:
                self._fill(together, besides)
            else:
                self._chunk(prefill, tokens, besides)
            yield from together.prefills
            last = prefill
            left = ends - time.monotonic()

    @property
    def pending(self) -> bool:
        """Something is left to be filled."""
        return any(one.remaining for one in self.active)

    def filled(self) -> list[Filled]:
        return filled(self.active)

    def _bunch(self, prefill: Prefill, seconds: float, besides: int) -> Bunch:
        """What can be filled together with a prompt, in the time there is and as the gate allows."""
        room = self._pace.tokens(0, seconds)
        together = bunch(prefill, (one for one in self.active if one.remaining), room)
        while len(together.prefills) > 1 and not self._gate.allows(self._bunch_bytes(together) + besides):
            together = Bunch(together.prefills[: len(together.prefills) // 2])
        return together

    def _bunch_bytes(self, together: Bunch) -> int:
        return self._bounds.bunch(len(together.prefills), together.longest)

    def _fill(self, together: Bunch, besides: int) -> None:
        began = time.monotonic()
        for prefill in together.prefills:
            prefill.request.prefill_began = prefill.request.prefill_began or began
        with self._gate.measured(self._bunch_bytes(together) + besides):
            try:
                together.fill(self._loaded)
            except Exception:  # noqa: BLE001 - whose fault it is shows when each has a forward to itself
                traceback.print_exc(file=sys.stderr)
                for prefill in together.prefills:
                    prefill.alone = True
                return
        self._pace.learn(together.tokens, 0, time.monotonic() - began)
        self.chunk_tokens = together.tokens
        self.prompt_tokens += sum(prefill.total for prefill in together.prefills)

    def _fit(self, prefill: Prefill, seconds: float, besides: int) -> int:
        """Tokens of the next chunk: what the time allows, halved until the gate passes it. 0: not even the floor."""
        wanted = tokens = prefill.clip(max(FLOOR_TOKENS, self._pace.tokens(prefill.done, seconds)))
        while not self._gate.allows(self._bounds.forward(1, tokens, prefill.done) + besides):
            if tokens <= FLOOR_TOKENS:
                return 0
            tokens = prefill.clip(max(FLOOR_TOKENS, tokens // 2))
        self._gate.decide("passed")
        if tokens < wanted:
            self._decide("shrunk", prefill, wanted, besides)
        return tokens

    def _decide(self, decision: Decision, prefill: Prefill, tokens: int, besides: int) -> None:
        self._gate.decide(decision, self._bounds.forward(1, tokens, prefill.done) + besides, tokens=tokens)

    def _chunk(self, prefill: Prefill, tokens: int, besides: int) -> None:
        began, context = time.monotonic(), prefill.done
        prefill.request.prefill_began = prefill.request.prefill_began or began
        with self._gate.measured(self._bounds.forward(1, tokens, context) + besides):
            _safely(prefill, lambda: prefill.advance(self._loaded, tokens))
        self._pace.learn(tokens, context, time.monotonic() - began)
        if not prefill.fault:
            _safely(prefill, lambda: self._prefixes.keep(prefill))
        self.chunk_tokens = tokens
        self.prompt_tokens += tokens


def _safely(prefill: Prefill, work: Callable[[], None]) -> None:
    """What goes wrong with one request is its own fault."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the outermost frame of one request
        traceback.print_exc(file=sys.stderr)
        prefill.fault = f"{type(error).__name__}: {error}"
        prefill.done = prefill.total
