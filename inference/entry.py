"""One model's place in the pool, whether its engine runs or not."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from inference.backoff import Backoff
from inference.client import Event
from inference.models import ModelSettings
from inference.options import IDLE_SECONDS
from inference.resident import Resident
from memory import parts_of


@dataclass(slots=True, eq=False)
class Entry:
    """One model's place in the pool. `users` are requests on it or waiting for it."""

    name: str
    settings: ModelSettings
    users: int = 0
    used_at: float = field(default_factory=time.monotonic)
    resident: Resident | None = None
    loading: asyncio.Task[None] | None = None
    progress: tuple[int, int] = (0, 0)
    backoff: Backoff = field(default_factory=Backoff)
    known: Event | None = None  # what its engine said of itself the last time it was ready

    @property
    def idle(self) -> bool:
        return self.resident is not None and not self.users and not self.loading and not self.resident.ending

    @property
    def idle_seconds(self) -> float:
        """After so long without a request it is unloaded; 0 means never."""
        own = self.settings.idle_seconds
        return IDLE_SECONDS.value if own is None else own

    def state(self) -> Event:
        there = self.resident
        return {
            "id": self.name,
            "loaded": there is not None and not there.ending,
            "loading": {"done": self.progress[0], "total": self.progress[1]} if self.loading else None,
            "active_requests": len(there.answers) if there else 0,
            "lease_bytes": there.lease.bytes if there else None,
            "context_limit": there.facts.get("context_limit") if there else None,
            "problem": self.backoff.reason or None,
            "problem_said": parts_of(self.backoff.reason),
            "cache": there.status.get("cache") if there else None,
            "used_at": time.time() - (time.monotonic() - self.used_at) if there and not self.users else None,
        }


def longest_unused(entries: Mapping[str, Entry], *, pinned: bool = False) -> list[Entry]:
    """Those whose engine is idle, the longest unused first; with `pinned`, those that stay too."""
    able = [entry for entry in entries.values() if entry.idle and (pinned or not entry.settings.pinned)]
    return sorted(able, key=lambda entry: entry.used_at)


def held(entries: Iterable[Entry]) -> int:
    """Bytes promised to their engines."""
    return sum(entry.resident.lease.bytes for entry in entries if entry.resident)
