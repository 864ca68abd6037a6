"""The check before every forward and every join: is what it can take free in the lease? No MLX here.

usage = max(active + outside, footprint, recent peak + outside)     outside: what the process holds beside MLX
pass  = usage + bound + margin <= lease
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from inference.engine.decisions import Decision, Decisions
from inference.engine.messages import Json

FLOOR_TOKENS = 32  # a smaller chunk costs as much time as this one (weights are read once per forward)
MIB = 1024**2
MARGIN_SHARE, LEAST_MARGIN, MOST_MARGIN = 64, 8 * MIB, 512 * MIB


class Readings(Protocol):
    """What the gate looks at."""

    def active(self) -> int: ...

    def cached(self) -> int: ...

    def peak(self) -> int:
        """The most that was active since `reset_peak`."""

    def reset_peak(self) -> None: ...

    def footprint(self) -> int | None:
        """None where the system's figure does not tell what the lease is about."""

    def release(self) -> None:
        """Give back what is kept only for reuse."""


class Lender(Protocol):
    """Who holds memory that is nobody's, until it is asked for: the prefix cache's hot tier."""

    size: int

    def give_back(self, bytes_: int) -> int: ...


def margin_beside(held: int, least: int = LEAST_MARGIN) -> int:
    """Bytes of margin in the smallest lease that holds so many bytes besides; it is a share of the lease itself."""
    return max(least, min(MOST_MARGIN, held // (MARGIN_SHARE - 1) + 1))


@dataclass(slots=True)
class Gate:
    """`margin` starts at a share of the lease and only grows: by the most that a forward went over its bound."""

    readings: Readings
    lease: int
    base: int = 0
    outside: int = 0
    learned: int = 0
    least_margin: int = LEAST_MARGIN
    on_resize: Callable[[int], None] = lambda _lease: None  # what else follows the lease, in bytes
    decisions: Decisions = field(default_factory=Decisions)
    worst: float = 0.0
    lender: Lender | None = None
    _recent_peak: int = 0

    @property
    def margin(self) -> int:
        return max(self.least_margin, min(MOST_MARGIN, self.lease // MARGIN_SHARE)) + self.learned

    def lease_for(self, need: int) -> int:
        """The lease in which so many bytes beside the base would fit, its margin included."""
        held = self.base + self.learned + need
        return held + margin_beside(held, self.least_margin)

    def settle(self) -> None:
        """Nothing is in use: what is held now is the base that every promise stands on."""
        self._forget()
        active, footprint = self.readings.active(), self.readings.footprint()
        self.outside = max(0, (footprint or 0) - active - self.readings.cached())
        self.base = max(active + self.outside, footprint or 0) - (self.lender.size if self.lender else 0)

    def usage(self) -> int:
        active, footprint = self.readings.active(), self.readings.footprint()
        return max(max(active, self._recent_peak) + self.outside, footprint or 0)

    def room(self) -> int:
        """Bytes that a forward may take now. If the first look is not enough for anything, look again with the
        reuse pool given back: a recent peak or a lagging footprint must never refuse by itself."""
        return self.lease - self.margin - self.usage()

    def allows(self, bound: int) -> bool:
        if bound <= self.room():
            return True
        self._forget()
        if bound > (room := self.room()) and self.lender and self.lender.give_back(bound - room):
            self._forget()
        return bound <= self.room()

    def decide(self, decision: Decision, bound: int = 0, *, tokens: int = 0, standing: int | None = None) -> None:
        """Keep what was decided about `bound` bytes on top of what is in use, or of `standing`, for who looks on."""
        if decision == "passed":
            self.decisions.count(decision)
            return
        need = (self.usage() if standing is None else standing) + bound + self.margin
        self.decisions.keep(decision, need_bytes=need, bound_bytes=bound, lease_bytes=self.lease, tokens=tokens)

    def resize(self, lease: int) -> None:
        """The lease was changed. What is kept only for reuse is given back: others may wait for it."""
        self.lease = lease
        self.on_resize(lease)
        self._forget()

    @contextmanager
    def measured(self, bound: int) -> Iterator[None]:
        """Run a forward inside; learn from its real peak."""
        before = self.readings.active()
        self.readings.reset_peak()
        yield
        self._recent_peak = self.readings.peak()
        over = self._recent_peak - before - bound
        self.learned = max(self.learned, over)
        if bound:
            self.worst = max(self.worst, (self._recent_peak - before) / bound)

    def state(self) -> Json:
        return {
            "lease_bytes": self.lease,
            "base_bytes": self.base,
            "margin_bytes": self.margin,
            "floor_tokens": FLOOR_TOKENS,
        }

    def status(self) -> Json:
        return {
            "lease_bytes": self.lease,
            "base_bytes": self.base,
            "active_bytes": self.readings.active(),
            "cache_bytes": self.readings.cached(),
            "footprint_bytes": self.readings.footprint(),
            "peak_bytes": self._recent_peak,
            "margin_bytes": self.margin,
            "gate": {**self.decisions.counts, "worst_ratio": round(self.worst, 3)},
        }

    def _forget(self) -> None:
        self.readings.release()
        self._recent_peak = 0
