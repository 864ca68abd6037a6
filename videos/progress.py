"""Percent and ETA of a job from its worker's events."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

PHASES = ("loading", "encoding", "conditioning", "denoising", "decoding", "muxing", "verifying", "upscaling")

# Shares of wall time where nothing is known of the model yet: an A14B clip, 480x272, 49 frames, 20 steps on an M5 Max
# spends about a tenth loading and most of the rest denoising (2026-06).
TYPICAL = {"loading": 10.0, "encoding": 2.0, "denoising": 70.0, "decoding": 16.0, "muxing": 1.0, "verifying": 1.0}

TRUSTED = 0.2  # what was learned counts as much as this share of the run itself


@dataclass(slots=True)
class Meter:
    """Turns (phase, step, of total) into percent done and seconds left.

    `expected` is how long each phase should take, in any unit. Seconds left are what is expected of the rest, at the
    pace of this run so far; where it was `learned`, and is in seconds, there is an answer from the start, which the
    run's own pace bends the more the further it is.
    """

    expected: Mapping[str, float] = field(default_factory=lambda: TYPICAL)
    learned: bool = False
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def read(self, phase: str, step: int, total: int) -> tuple[int, float | None]:
        """Percent (0 to 99; 100 is for a finished job) and seconds left (None until there is something to go by)."""
        whole = sum(self._of(name) for name in PHASES)
        before = sum(self._of(name) for name in PHASES[: PHASES.index(phase)])
        done = (before + self._of(phase) * (step / total if total else 0)) / whole
        elapsed = self.clock() - self.started
        return min(99, int(100 * done)), self._left(done, elapsed, whole)

    def _left(self, done: float, elapsed: float, whole: float) -> float | None:
        if not self.learned:
            return elapsed * (1 - done) / done if done > 0 and elapsed > 0 else None
        pace = (elapsed + TRUSTED * whole) / ((done + TRUSTED) * whole)
        return (1 - done) * whole * pace

    def _of(self, phase: str) -> float:
        return max(self.expected.get(phase, 0.0), 1e-3)
