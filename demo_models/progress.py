"""What a training program says while it runs, and the learning rate it follows."""

import math
import sys
import time
from collections.abc import Callable


class Progress:
    """A line now and then: step, its loss, seconds of wall clock and of CPU since the start."""

    def __init__(self, what: str, steps: int, every: int) -> None:
        self._what, self._steps, self._every = what, steps, every
        self._started, self._cpu = time.monotonic(), time.process_time()

    def step(self, done: int, loss: Callable[[], float]) -> None:
        """`loss` is asked for only where it is said: its gradient is known without it."""
        if done % self._every == 0 or done == self._steps:
            wall, cpu = time.monotonic() - self._started, time.process_time() - self._cpu
            say(f"{self._what}: step {done} of {self._steps}, loss {loss():.4f}, {wall:.0f} s ({cpu:.0f} s CPU)")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def learning_rate(step: int, steps: int, *, peak: float, warmup: int) -> float:
    """Linear to `peak`, then half a cosine down to a hundredth of it."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return peak * min(1.0, (step + 1) / warmup) * (0.01 + 0.99 * cosine)
