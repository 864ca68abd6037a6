"""When a model that did not load, or whose engine keeps dying, may be tried again."""

import math
import time

from inference.errors import LoadFailed
from memory import join, say

FIRST_SECONDS = 2.0
MOST_SECONDS = 300.0
STEADY_SECONDS = 60.0  # an engine that worked for so long has earned a fresh start


class Backoff:
    def __init__(self) -> None:
        self.reason = ""
        self._failures = 0
        self._until = 0.0

    def check(self) -> None:
        """Raises LoadFailed while it is too early, with the reason of the last failure."""
        left = self._until - time.monotonic()
        if left > 0:
            wait = math.ceil(left)
            raise LoadFailed(join(say("tried_again_in", seconds=wait), self.reason), retry_after=wait)

    def load_failed(self, reason: str) -> None:
        self.reason = reason
        self._delay(FIRST_SECONDS)

    def crashed(self, reason: str, lived: float) -> None:
        """The first death costs nothing: the next request loads the model again at once."""
        self.reason = reason
        if lived >= STEADY_SECONDS:
            self._failures = 0
        self._delay(0.0 if self._failures == 0 else FIRST_SECONDS)

    def forget(self) -> None:
        self.__init__()  # type: ignore[misc]

    def _delay(self, first: float) -> None:
        self._until = time.monotonic() + min(MOST_SECONDS, first * 2**self._failures)
        self._failures += 1
