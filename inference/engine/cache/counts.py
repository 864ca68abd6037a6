"""What the SSD tier of one process did, counted by several threads."""

import threading
from collections import Counter

SUMS = {"misses": "miss_", "dropped": "dropped_"}
NAMES = (
    "saved",  # taken over for writing
    "persisted",  # written
    "already",  # not written, since it was there
    "hits",
    "hits_queued",  # of these, found before they were written
    "miss_absent",
    "miss_gone",  # the index had it, but not the disk
    "miss_corrupt",
    "miss_unreadable",  # the system would not read it
    "dropped_queue_full",
    "dropped_disk_full",
    "dropped_too_large",
    "dropped_error",
    "dropped_closed",
    "evicted",
    "quarantined",
    "adopted",  # files that the index did not know
    "forgotten",  # rows whose file was gone
    "removed",  # files that were no blocks
    "disk_full",
    "write_errors",
    "index_errors",
)


class Counts:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = Counter(dict.fromkeys(NAMES, 0))

    def add(self, name: str, count: int = 1) -> None:
        with self._lock:
            self._counts[name] += count

    def read(self) -> dict[str, int]:
        with self._lock:
            counts = dict(self._counts)
        sums = {total: sum(n for name, n in counts.items() if name.startswith(part)) for total, part in SUMS.items()}
        return counts | sums
