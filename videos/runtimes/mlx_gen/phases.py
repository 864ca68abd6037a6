"""Where the work has got to: events to the node, and how long each phase took."""

import time
from typing import Any

from memory.protocol import Channel


class Phases:
    """Reports one phase after another. Every report is also the place where an abort takes effect."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._started = self._since = time.monotonic()
        self._current: str | None = None
        self._total = 0
        self.seconds: dict[str, float] = {}

    def begin(self, phase: str, total_steps: int) -> None:
        """Raises Aborted if the node asked for the work to end."""
        self._close()
        self._current, self._total, self._since = phase, total_steps, time.monotonic()
        self.step(0)

    def step(self, done: int) -> None:
        """Raises Aborted if the node asked for the work to end."""
        self._channel.event(self._current or "", step=done, total_steps=self._total)

    def tell(self, what: str, **fields: Any) -> None:
        """Report a fact that is no progress. Raises Aborted as the others do."""
        self._channel.event(what, **fields)

    def mention(self, what: str, **fields: Any) -> None:
        """As `tell`, for any thread: it does not end the work."""
        self._channel.send("event", phase=what, **fields)

    @property
    def begun(self) -> bool:
        return self._current is not None

    def checkpoint(self) -> None:
        self._channel.checkpoint()

    def finish(self) -> float:
        """End the last phase; returns the seconds since the first."""
        self._close()
        return time.monotonic() - self._started

    def _close(self) -> None:
        if self._current is not None:
            self.seconds[self._current] = round(time.monotonic() - self._since, 4)
        self._current = None
