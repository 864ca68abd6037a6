"""What the prefix cache did, in numbers."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """Tokens, except `skipped`, which are blocks that were not kept.

    Missed because: `new` was never seen or is not kept any more, `no_snapshot` is there in part, `no_room` could not
    be held, `unreadable` was damaged or gone when it was read, `off` by the request, `unsupported` by the model.
    Skipped because: `no_room` in the lease or the hot tier, `queue_full` before the SSD, `unsupported`.
    """

    hot: int = 0
    ssd: int = 0
    saved: int = 0
    queued: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def figures(self) -> dict[str, Any]:
        return {
            "hit_hot_tokens": self.hot,
            "hit_ssd_tokens": self.ssd,
            "saved_tokens": self.saved,
            "queued_tokens": self.queued,
            "missed": dict(self.missed),
            "skipped": dict(self.skipped),
        }
