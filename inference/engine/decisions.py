"""What the gate decided: all of it counted, and what did not simply pass kept with its figures until it is told."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from inference.engine.messages import Json

Decision = Literal["passed", "shrunk", "waited", "refused"]
TELL_SECONDS = 5.0  # a gate that holds somebody up decides with every tick


def _none_yet() -> dict[Decision, int]:
    return {"passed": 0, "shrunk": 0, "waited": 0, "refused": 0}


@dataclass(slots=True)
class Decisions:
    clock: Callable[[], float] = time.monotonic
    counts: dict[Decision, int] = field(default_factory=_none_yet)
    _untold: dict[Decision, Json] = field(default_factory=dict)
    _told: float = float("-inf")

    def count(self, decision: Decision) -> None:
        self.counts[decision] += 1

    def keep(self, decision: Decision, **figures: int) -> None:
        """The figures of the last time stand for all those since it was told."""
        self.count(decision)
        times = self._untold[decision]["times"] if decision in self._untold else 0
        self._untold[decision] = {"decision": decision, "times": times + 1, **figures}

    def due(self) -> list[Json]:
        """What is to be told now: one for each kind of decision, at most every five seconds."""
        now = self.clock()
        if not self._untold or now - self._told < TELL_SECONDS:
            return []
        due, self._untold, self._told = list(self._untold.values()), {}, now
        return due
