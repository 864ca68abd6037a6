"""What the Cache page shows."""

from dataclasses import dataclass
from typing import Any

from asgiref.sync import async_to_sync
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from inference.cache import OnDisk, engine_counts, read_cache

REASONS = {
    "new": _("not seen before"),
    "no_snapshot": _("no snapshot at that place"),
    "no_room": _("no room in memory"),
    "unreadable": _("damaged or gone"),
    "off": _("the request asked for it"),
    "unsupported": _("this kind of model is not kept"),
    "queue_full": _("the disk was behind"),
}


@dataclass(frozen=True, slots=True)
class Engine:
    """What a loaded model did since it was loaded. Tokens, but for `skipped` and `evicted`, which are blocks."""

    name: str
    hot: int
    ssd: int
    computed: list[tuple[str | Promise, int]]
    skipped: list[tuple[str | Promise, int]]
    hot_bytes: int
    evicted: int
    set_aside: int
    problem: str | None

    @property
    def share(self) -> float | None:
        """Percent of the tokens that came from the cache."""
        hit = self.hot + self.ssd
        whole = hit + sum(count for _, count in self.computed)
        return 100 * hit / whole if whole else None


@dataclass(frozen=True, slots=True)
class State:
    disk: OnDisk
    engines: list[Engine]


def read_state() -> State:
    """Raises Unavailable."""
    counts = async_to_sync(engine_counts)()
    return State(read_cache(), [_engine(name, said) for name, said in sorted(counts.items())])


def _engine(name: str, said: dict[str, Any]) -> Engine:
    hot, ssd = said.get("hot", {}), said.get("ssd", {})
    return Engine(
        name=name,
        hot=said.get("hit_hot_tokens", 0),
        ssd=said.get("hit_ssd_tokens", 0),
        computed=_reasons(said.get("missed", {})),
        skipped=_reasons(said.get("skipped", {})),
        hot_bytes=hot.get("bytes", 0),
        evicted=hot.get("evicted", 0) + ssd.get("evicted", 0),
        set_aside=ssd.get("quarantined", 0),
        problem=said.get("problem"),
    )


def _reasons(counts: dict[str, int]) -> list[tuple[str | Promise, int]]:
    return [(REASONS.get(reason, reason), count) for reason, count in counts.items() if count]
