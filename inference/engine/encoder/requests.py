"""A request and its rows: what was asked, and how far it is. No MLX here."""

import time
from dataclasses import dataclass, field

from inference.engine.encoder.texts import Row
from inference.engine.messages import Timings, Usage


@dataclass(slots=True, eq=False)
class Request:
    """`rows` whose numbers are in `left` have no vector or score yet. Times are monotonic seconds."""

    id: str
    rows: list[Row]
    arrived: float
    scored: bool = False  # a score for each row, not a vector
    dimensions: int | None = None
    left: list[int] = field(default_factory=list)
    began: float = 0.0
    waits_since: float | None = None  # for memory

    def __post_init__(self) -> None:
        self.left = sorted(range(len(self.rows)), key=lambda at: len(self.rows[at]))

    @property
    def longest(self) -> int:
        return max(len(row) for row in self.rows)

    @property
    def usage(self) -> Usage:
        return Usage(sum(len(row) for row in self.rows), 0)

    def timings(self) -> Timings:
        now = time.monotonic()
        began = self.began or now
        return Timings(began - self.arrived, now - began, now - self.arrived, 0.0, now - self.arrived)
