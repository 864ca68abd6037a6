"""What can be set about memory: how much is kept for others, how strictly leases are held, how often it is looked."""

from collections.abc import Iterator
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fmlx_site.options import Group, Option, Values, in_effect, of_group
from fmlx_site.units import GIB, IN_GIB, IN_MIB, MIB, PERCENT, SECONDS
from memory.ceiling import RECLAIMED_SHARE, Tier, scaled_reserve
from memory.machine import read_machine
from memory.models import Node
from memory.sentences import gib

LEAST_CEILING_BYTES = GIB  # under this not even the smallest worker could be promised its base
TIERS: list[Tier] = ["safe", "balanced", "aggressive", "custom"]


def _check(values: Values) -> Iterator[tuple[str, str]]:
    """Figures against the memory that each machine has."""
    for name, total in _totals():
        figures = {"node": name, "total": gib(total), "least": gib(LEAST_CEILING_BYTES)}
        kept = values["memory_reserve_bytes"] if values["memory_tier"] == "custom" else 0
        if kept > total - LEAST_CEILING_BYTES:
            text = _("%(kept)s kept of the %(total)s that %(node)s has leaves less than %(least)s for workers.")
            yield "memory_reserve_bytes", text % {"kept": gib(kept), **figures}
        limit = values["memory_limit_bytes"]
        if limit is not None and limit > total:
            text = _("%(limit)s is more than the %(total)s that %(node)s has, so it would limit nothing.")
            yield "memory_limit_bytes", text % {"limit": gib(limit), **figures}


def _totals() -> list[tuple[str, int]]:
    """Of each node that has read its memory; without one, of this machine."""
    nodes = Node.objects.order_by("name")
    known = [(node.name, node.ceiling_terms.get("inputs", {}).get("total")) for node in nodes]
    return [(name, total) for name, total in known if total] or [(_("this machine"), read_machine().total)]


MEMORY = Group(
    "memory",
    gettext_lazy("Memory"),
    gettext_lazy("How much may be promised to workers, and how strictly they are held to it."),
    10,
    _check,
)


def _weak_tier(values: Values) -> bool:
    return bool(values["memory_tier"] == "aggressive")


def _weak_reserve(values: Values) -> bool:
    usual = scaled_reserve("balanced", read_machine().total)
    return bool(values["memory_tier"] == "custom" and values["memory_reserve_bytes"] < usual)


def _weak_share(values: Values) -> bool:
    counted = values["memory_reclaimed_share"]
    return bool(values["memory_tier"] == "custom" and counted > RECLAIMED_SHARE["balanced"])


TIER = Option[Tier](
    "memory_tier",
    MEMORY,
    gettext_lazy("Kept for the system and others"),
    gettext_lazy("Less on machines with less than 32 GiB, in proportion. “Own figures” takes the next two."),
    choices=[
        ("safe", gettext_lazy("Safe: 12 GiB")),
        ("balanced", gettext_lazy("Balanced: 8 GiB")),
        ("aggressive", gettext_lazy("Aggressive: 6 GiB")),
        ("custom", gettext_lazy("Own figures")),
    ],
    weaker=_weak_tier,
)
RESERVE_BYTES = Option[int](
    "memory_reserve_bytes",
    MEMORY,
    gettext_lazy("Own figure: kept for the system and others"),
    gettext_lazy("Counts only with “Own figures”."),
    unit=IN_GIB,
    least=0,
    most=2**50,
    weaker=_weak_reserve,
)
RECLAIMED = Option[float](
    "memory_reclaimed_share",
    MEMORY,
    gettext_lazy("Own figure: share of the system's caches that is counted on"),
    gettext_lazy("Counts only with “Own figures”. Such memory is lent to caches until somebody asks for it."),
    default=RECLAIMED_SHARE["custom"],
    unit=PERCENT,
    least=0.0,
    most=1.0,
    weaker=_weak_share,
)
LIMIT_BYTES = Option[int | None](
    "memory_limit_bytes",
    MEMORY,
    gettext_lazy("Hard limit"),
    gettext_lazy("Never promise more than this, however much there is. Empty: no such limit."),
    unit=IN_GIB,
    least=LEAST_CEILING_BYTES,
    most=2**50,
)
TOLERANCE_BYTES = Option[int](
    "memory_tolerance_bytes",
    MEMORY,
    gettext_lazy("Tolerance"),
    gettext_lazy("So far may a worker go over its lease before it is ended; the larger of this and the share counts."),
    unit=IN_MIB,
    least=0,
    most=64 * GIB,
    weaker="above",
)
TOLERANCE_SHARE = Option[float](
    "memory_tolerance_share",
    MEMORY,
    gettext_lazy("Tolerance, as a share of the lease"),
    gettext_lazy("The larger of this and the figure above counts."),
    unit=PERCENT,
    least=0.0,
    most=1.0,
    weaker="above",
)
ENGINE_MARGIN = Option[int](
    "memory_engine_margin_bytes",
    MEMORY,
    gettext_lazy("Margin of a language model"),
    gettext_lazy("So much of its lease stays free at least, a 64th part where that is more. From the next load on."),
    default=8 * MIB,
    unit=IN_MIB,
    least=8 * MIB,
    most=64 * GIB,
)
VIDEO_MARGIN = Option[float](
    "memory_video_margin_share",
    MEMORY,
    gettext_lazy("Margin of a video"),
    gettext_lazy("Promised to a clip on top of what it is predicted to need, as a share of that."),
    default=0.0,
    unit=PERCENT,
    least=0.0,
    most=1.0,
)
SAMPLE_SECONDS = Option[float](
    "memory_sample_seconds",
    MEMORY,
    gettext_lazy("Time between two readings"),
    gettext_lazy("A worker that takes too much is seen at the next reading. Shorter costs more of the processor."),
    default=0.25,
    unit=SECONDS,
    least=0.1,
    most=1.0,
    weaker="above",
)


def tolerance_of(lease: int) -> int:
    """Bytes that a worker may hold above its lease before it is ended."""
    return max(TOLERANCE_BYTES.value, int(TOLERANCE_SHARE.value * lease))


def weaker_than_default() -> list[str]:
    """Names of the options of memory that guard less than their defaults do."""
    values = in_effect()
    return [option.name for option in of_group(MEMORY) if option.weaker_than_default(values)]


def say_resolved(log: Any) -> None:
    """One line with every figure in effect: a warning if one guards less than its default."""
    values = {option.name: option.value for option in of_group(MEMORY)}
    weaker = weaker_than_default()
    say = log.warning if weaker else log.info
    text = f"Weaker than the default: {', '.join(weaker)}." if weaker else "No guard is weaker than its default."
    say("memory_settings", message=text, weaker=weaker, **values)
