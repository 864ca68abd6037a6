"""Who may start: the verdict before any forward. Memory is promised before it is used. No MLX here."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator

from inference.engine.bounds import Bounds
from inference.engine.gate import FLOOR_TOKENS, Gate
from inference.engine.lease import Lease
from inference.engine.messages import Refusal
from inference.engine.prefill import Prefill
from inference.engine.requests import Sequence

RESERVE_TOKENS = 256  # promised to every sequence ahead of what it has: one growth of its cache
AHEAD_TOKENS = 512  # looked ahead once a second: no sequence of a large model grows by more before the node answers
LONGEST_RETRY = 60


class Admission:
    """Prompts wait here, first come first served, until what they need can be promised."""

    def __init__(self, gate: Gate, lease: Lease, bounds: Bounds, patience: float, max_waiting: int) -> None:
        self._gate, self._lease, self._bounds = gate, lease, bounds
        self._patience, self._max_waiting = patience, max_waiting
        self._waiting: deque[Prefill] = deque()
        self._closed = False
        self._short_since: float | None = None  # the first in line waits for memory, not for its turn

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Prefill]:
        return iter(list(self._waiting))

    @property
    def full(self) -> bool:
        return len(self._waiting) >= self._max_waiting

    def enter(self, prefill: Prefill) -> None:
        """Raises Refusal: 413 if it can never fit, 503 if too many are waiting."""
        self.require_possible(prefill)
        if self.full:
            raise Refusal(
                503,
                "queue_full",
                f"{len(self._waiting)} requests are waiting already, which is the limit; try again later.",
                retry_after=LONGEST_RETRY,
            )
        self._waiting.append(prefill)

    def enter_again(self, prefill: Prefill) -> None:
        """It had started and gave its room to others; it goes on when one of them has ended, before all the rest."""
        self._waiting.appendleft(prefill)
        self._closed = True

    def reopen(self) -> bool:
        """Something ended. True if this door was closed."""
        was, self._closed = self._closed, False
        return was

    def leave(self, prefill: Prefill) -> None:
        self._waiting.remove(prefill)

    def next(self, promised: int, free: int) -> Prefill | None:
        """The first that waits, if it fits beside what is promised to others."""
        if not self._waiting or self._closed:
            return None
        first = self._waiting[0]
        if len(first.sequences) > free:
            self._short_since = None
            return None
        if promised + (need := self._need(first)) > self._available():
            self._short_since = self._short_since or time.monotonic()
            self._lease.ask(self._gate.lease_for(promised + need))
            return None
        self._short_since = None
        return self._waiting.popleft()

    def impatient(self, retry_after: int) -> list[tuple[Prefill, Refusal]]:
        """Those that memory has kept waiting too long; they leave. Waiting for a turn has no limit."""
        if (since := self._short_since) is None:
            return []
        before = time.monotonic() - self._patience
        late = [one for one in self._waiting if not one.request.accepted and max(since, one.waiting_since) < before]
        for prefill in late:
            self._waiting.remove(prefill)
        return [(prefill, self._no_room(prefill, retry_after)) for prefill in late]

    def promise(self, sequences: Iterable[Sequence]) -> int:
        """Bytes promised to sequences that were let in."""
        return sum(self._promise(sequence) for sequence in sequences)

    def look_ahead(self, sequences: Iterable[Sequence], step: int) -> None:
        """Ask for what those that were let in will need soon, and the largest step beside it."""
        ahead = sum(self._bounds.cache(1, one.length + min(one.left, AHEAD_TOKENS)) for one in sequences)
        self._lease.ask(self._gate.lease_for(ahead + step))

    def require_possible(self, prefill: Prefill) -> None:
        """Raises Refusal 413 when the lease is too small for this one alone, and cannot become large enough."""
        need, available = self._need(prefill), self._available()
        if need <= available or self._lease.could_be(self._gate.lease_for(need)):
            return
        self._gate.decide("refused", need, tokens=len(prefill.tokens), standing=self._gate.base)
        raise Refusal(
            413,
            "context_too_large_for_memory",
            f"This prompt of {len(prefill.tokens):,} tokens needs {_mib(need)} of memory beside the model, and the "
            f"model's lease leaves {_mib(available)}. Shorten the prompt, or give the model a larger lease.",
            param="messages" if prefill.request.kind == "chat" else "prompt",
        )

    def _available(self) -> int:
        return self._gate.lease - self._gate.base - self._gate.margin

    def _promise(self, sequence: Sequence) -> int:
        return self._bounds.cache(1, sequence.length + min(sequence.left, RESERVE_TOKENS))

    def _need(self, prefill: Prefill) -> int:
        """What it will hold, and the most that bringing it there takes on top."""
        length, count = len(prefill.tokens), len(prefill.sequences)
        return self._bounds.request(length, self.promise(prefill.sequences), count, FLOOR_TOKENS)

    def _no_room(self, prefill: Prefill, retry_after: int) -> Refusal:
        need = self._need(prefill)
        self._gate.decide("refused", need, tokens=len(prefill.tokens))
        return Refusal(
            503,
            "no_room",
            f"This request needs {_mib(need)} of memory, and others held the room for "
            f"{self._patience:g} s. Try again in {retry_after} s.",
            retry_after=retry_after,
        )


def retry_after(seconds: float) -> int:
    return max(1, min(LONGEST_RETRY, math.ceil(seconds)))


def _mib(count: int) -> str:
    return f"{count / 1024**2:,.0f} MiB"
