"""How much of a prompt is there already, and where its prefill must stop to leave something behind. No MLX here."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal, Protocol

from inference.engine.cache.blocks import BLOCK, Chain

LEAST_POINT = 128  # tokens: what is shorter is as quickly computed as looked up


@dataclass(frozen=True, slots=True)
class Found:
    """A block or a tail that is there: where in the prompt, and in which tier; with the snapshots its model needs?"""

    key: bytes
    begin: int
    position: int
    where: Literal["hot", "ssd"]
    complete: bool


class Finder(Protocol):
    """`tiers.Tiers`."""

    def find(
        self, chain: Chain, ends: Sequence[int], keys: Sequence[bytes], *, hot: bool = True
    ) -> list[Found | None]: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """`found` are the blocks to put together. `known` tokens are there in whole blocks, though not all may be of use:
    where a model needs snapshots, only a block that has them can be the last."""

    found: list[Found]
    present: list[Found]

    @property
    def position(self) -> int:
        return self.found[-1].position if self.found else 0

    @property
    def known(self) -> int:
        return self.present[-1].position if self.present else 0


def look_up(tiers: Finder, chain: Chain, limit: int, *, snapshots: bool, hot: bool = True) -> Plan:
    """The longest part of a prompt, of at most `limit` tokens, that can be put together."""
    if limit < LEAST_POINT:
        return Plan([], [])
    keys = chain.keys(limit)
    ends = range(BLOCK, limit + 1, BLOCK)
    present = [found for found in takewhile(bool, tiers.find(chain, ends, keys, hot=hot)) if found]
    for level in range(len(present), -1, -1):
        if tail := _tail(tiers, chain, level, limit, hot=hot):
            return Plan([*present[:level], tail], present)
        if level and (present[level - 1].complete or not snapshots):
            return Plan(present[:level], present)
    return Plan([], present)


def _tail(tiers: Finder, chain: Chain, level: int, limit: int, *, hot: bool) -> Found | None:
    """The longest block that ends early."""
    tails = [(end, key) for end, key in chain.tails(level, limit) if end >= LEAST_POINT]
    found = tiers.find(chain, [end for end, _ in tails], [key for _, key in tails], hot=hot)
    return next((one for one in reversed(found) if one and one.complete), None)


def stops(plan: Plan, total: int, points: Sequence[int], stride: int | None) -> list[int]:
    """Where something is kept besides whole blocks, in order: at the `points` where this prompt and a later one may
    part, and at its end. With a `stride`, the model needs snapshots, and they are taken there too: so many blocks
    apart, where known blocks end that lack one (what was asked twice will be asked again), and at the last block of a
    prompt of which the points are not known."""
    wanted = {point for point in points if LEAST_POINT <= point <= total}
    if total >= BLOCK and not any(total - LEAST_POINT < point <= total for point in points):
        wanted.add(total)
    if stride:
        wanted.update(range(stride * BLOCK, total + 1, stride * BLOCK))
        wanted.add(plan.known)
        if not points:
            wanted.add(total // BLOCK * BLOCK)
    return sorted(point for point in wanted if plan.position < point and (stride or point % BLOCK))
