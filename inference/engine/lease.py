"""Asking the node for a larger lease when requests wait for memory. No MLX here."""

import time
from collections.abc import Callable

from inference.engine.gate import Gate
from inference.engine.messages import Json

STEP_BYTES = 64 * 1024**2  # asked for in such steps, so that the next few tokens do not ask again
AGAIN_SECONDS = 1.0


class Lease:
    """`grows`: the node answers when it is asked."""

    def __init__(self, gate: Gate, say: Callable[[Json], None], *, grows: bool) -> None:
        self._gate, self._say, self._grows = gate, say, grows
        self._most: int | None = None  # what the node can promise at most, once it said so
        self._asked_at = 0.0

    def resized(self, size: int, most: int | None) -> None:
        self._gate.resize(size)
        self._most = most or self._most

    def could_be(self, size: int) -> bool:
        most = self._most if self._grows else self._gate.lease
        return most is None or size <= most

    def ask(self, size: int) -> None:
        """Ask for a lease of so many bytes, unless it is that large, or could never be."""
        now = time.monotonic()
        if self._gate.lease < size and self.could_be(size) and now - self._asked_at >= AGAIN_SECONDS:
            self._asked_at = now
            self._say({"phase": "lease", "wanted": -(-size // STEP_BYTES) * STEP_BYTES})
