"""Who waits for memory and asks again and again. Others may be promised memory first, but only so often."""

import time
from dataclasses import dataclass

from memory.sentences import Sentence, say

STALE_SECONDS = 10.0  # who waits asks twice a second; one who does not has gone


@dataclass(slots=True)
class Waiting:
    """`overtaken` times, of `overtakes` that it puts up with."""

    kind: str
    holder: str
    wanted: int
    overtakes: int
    asked: float
    overtaken: int = 0

    @property
    def overdue(self) -> bool:
        return self.overtaken >= self.overtakes

    @property
    def sentence(self) -> Sentence:
        return say("kept_for", kept=self.wanted, who=f"{self.kind} {self.holder}", times=self.overtaken)


class Line:
    """Those who wait at one ledger, the first first."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, str], Waiting] = {}

    def join(self, kind: str, holder: str, wanted: int, overtakes: int) -> None:
        """It asked and was refused; who waits already keeps its place."""
        now = time.monotonic()
        one = self._waiting.setdefault((kind, holder), Waiting(kind, holder, wanted, overtakes, now))
        one.wanted, one.overtakes, one.asked = wanted, overtakes, now

    def served(self, kind: str, holder: str) -> None:
        """It was promised its memory, before those who stood in front of it: all, if it did not wait."""
        for who, one in self._waiting.items():
            if who == (kind, holder):
                break
            one.overtaken += 1
        self._waiting.pop((kind, holder), None)

    def before(self, kind: str, holder: str) -> Waiting | None:
        """Whom this one may not overtake any more, if there is one."""
        now = time.monotonic()
        self._waiting = {who: one for who, one in self._waiting.items() if now - one.asked < STALE_SECONDS}
        for who, one in self._waiting.items():
            if who == (kind, holder):
                return None
            if one.overdue:
                return one
        return None
