"""Prompts on their way into the cache, a chunk at a time, and which of them is next."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import mlx.core as mx

from inference.engine.bounds import KV_STEP
from inference.engine.cache.prefix import Prefix
from inference.engine.models import Loaded
from inference.engine.requests import Request, Sequence

if TYPE_CHECKING:
    from inference.engine.bunch import Bunch

HEAD_START = 0.05  # seconds of waiting a newcomer is credited with, so that of two newcomers the shorter goes first


class Prefill:
    """All tokens but the last go into the cache; the last is the first that decoding is fed. `bunch`: those that were
    filled with it, whose cache is also its own. `alone`: it is to have a forward to itself."""

    __slots__ = (
        "alone", "bunch", "cache", "done", "fault", "prefix", "request", "sequences", "tokens", "waiting_since",
    )  # fmt: skip

    def __init__(self, request: Request, sequences: list[Sequence]) -> None:
        self.request, self.sequences = request, sequences
        self.tokens = sequences[0].tokens
        self.cache: list[Any] | None = None
        self.bunch: Bunch | None = None
        self.alone = False
        self.done = 0
        self.fault = ""
        self.prefix: Prefix | None = None  # what the prefix cache knows of it
        self.waiting_since = time.monotonic()

    @property
    def total(self) -> int:
        return len(self.tokens) - 1

    @property
    def remaining(self) -> int:
        return self.total - self.done

    @property
    def holds(self) -> bool:
        """Memory."""
        return self.cache is not None or self.bunch is not None or bool(self.prefix and self.prefix.restore)

    @property
    def to_compute(self) -> int:
        """What is left when that is brought back which is there."""
        there = self.prefix.plan.position if self.prefix and self.cache is None else 0
        return self.total - max(self.done, there)

    def clip(self, tokens: int) -> int:
        """A chunk of at most `tokens` that ends on a block boundary if it reaches one."""
        end = min(self.total, self.done + tokens)
        if self.prefix and (cut := self.prefix.next_cut(self.done)) and cut <= end:
            return cut - self.done
        boundary = end // KV_STEP * KV_STEP
        return (boundary if self.done < boundary < self.total else end) - self.done

    def advance(self, loaded: Loaded, tokens: int) -> None:
        if self.cache is None:
            self.cache = loaded.new_cache()
        chunk = mx.array([self.tokens[self.done : self.done + tokens]])
        loaded.model(chunk, cache=self.cache)
        mx.eval([layer.state for layer in self.cache])
        self.done += tokens

    def forget(self) -> None:
        """Give the memory back; it starts again when there is room."""
        self.cache, self.bunch, self.prefix, self.done = None, None, None, 0


def next_of(prefills: Iterable[Prefill]) -> Prefill | None:
    """The one that has waited longest for how much it wants: short ones pass long ones, and nothing starves
    (highest response ratio next; Brinch Hansen, 1971)."""
    now = time.monotonic()
    return max(
        prefills,
        key=lambda one: (now - one.waiting_since + HEAD_START) / (one.to_compute + 1),
        default=None,
    )
