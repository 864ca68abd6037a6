"""Short prompts that come at the same time fill their caches in one forward, and start to decode as one."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import mlx.core as mx

from inference.engine.batch import Cache, held_by
from inference.engine.bounds import KV_STEP, Held, rounded
from inference.engine.models import Loaded
from inference.engine.prefill import Prefill
from inference.engine.requests import Sequence

LONGEST = KV_STEP - 1  # with less than a block of the prefix cache a prompt has nothing to look up or to keep
USED_SHARE = 0.75  # of the padded batch


@dataclass(slots=True, eq=False)
class Bunch:
    """Whole prompts, right-padded to the longest for their forward; in the cache they are left-padded."""

    prefills: list[Prefill]
    cache: Cache = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Of the padded batch."""
        return len(self.prefills) * self.longest

    @property
    def longest(self) -> int:
        return max(prefill.total for prefill in self.prefills)

    def fill(self, loaded: Loaded) -> None:
        lengths, longest = [prefill.total for prefill in self.prefills], self.longest
        padding = [longest - length for length in lengths]
        rows = [prefill.tokens[:-1] + [0] * pad for prefill, pad in zip(self.prefills, padding, strict=True)]
        cache = [layer.merge([layer] * len(rows)) for layer in loaded.new_cache()]
        if any(padding):
            for layer in cache:
                layer.prepare(lengths=lengths, right_padding=padding)
        loaded.model(mx.array(rows), cache=cache)
        mx.eval([layer.state for layer in cache])
        if any(padding):
            for layer in cache:
                layer.finalize()
                mx.eval(layer.state)
        self.cache = cache
        for prefill in self.prefills:
            prefill.done, prefill.bunch = prefill.total, self

    def take(self, still: list[Prefill]) -> Cache:
        """The cache of those that are still there, which is theirs from now on."""
        cache, self.cache = self.cache, []
        if len(still) < len(self.prefills):
            keep = [at for at, prefill in enumerate(self.prefills) if prefill in still]
            for layer in cache:
                layer.filter(keep)
        return cache


@dataclass(frozen=True, slots=True)
class Filled:
    """Prompts whose cache is ready to decode from: one, or all that are left of a bunch."""

    prefills: list[Prefill]
    bunch: Bunch | None

    @property
    def dense(self) -> bool:
        return self.bunch is not None

    @property
    def sequences(self) -> list[Sequence]:
        return [sequence for prefill in self.prefills for sequence in prefill.sequences]

    @property
    def copies(self) -> int:
        """Rows that share the cache; 0 if each has its own in it."""
        return 0 if self.bunch else len(self.sequences)

    @property
    def held(self) -> Held:
        length = max(prefill.total for prefill in self.prefills)
        if self.bunch is not None:
            return held_by(self.bunch.cache, len(self.prefills), length, dense=True)
        cache = self.prefills[0].cache
        return held_by(cache, 1, length, dense=False) if cache else Held(1, length, rounded(length), dense=False)

    def take(self, loaded: Loaded) -> Cache:
        if self.bunch is not None:
            return self.bunch.take(self.prefills)
        only = self.prefills[0]
        cache, only.cache = only.cache, None
        return loaded.new_cache() if cache is None else cache


def bunch(first: Prefill, others: Iterable[Prefill], room: int) -> Bunch:
    """`first`, and those of the others that can be filled with it in a batch of at most `room` tokens."""
    found = Bunch([first])
    if not _fits(first):
        return found
    used, longest = first.total, first.total
    for other in others:
        if other is first or not _fits(other):
            continue
        padded = (len(found.prefills) + 1) * max(longest, other.total)
        if padded <= room and used + other.total >= USED_SHARE * padded:
            found.prefills.append(other)
            used, longest = used + other.total, max(longest, other.total)
    return found


def filled(prefills: Iterable[Prefill]) -> list[Filled]:
    """Those of the prompts that are done, bunches together and in the order of their rows in the cache."""
    done = [prefill for prefill in prefills if not prefill.remaining]
    alone = [Filled([prefill], None) for prefill in done if prefill.bunch is None]
    bunches = dict.fromkeys(prefill.bunch for prefill in done if prefill.bunch is not None)
    return alone + [Filled([one for one in together.prefills if one in done], together) for together in bunches]


def _fits(prefill: Prefill) -> bool:
    untouched = prefill.cache is None and prefill.done == 0
    if prefill.prefix and (prefill.prefix.stops or prefill.prefix.plan.found):
        return False  # a part of it is cached, or is to be
    return untouched and not prefill.alone and prefill.total <= LONGEST and len(prefill.sequences) == 1
