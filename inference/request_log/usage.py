"""Sums of usage by key, model and day or hour: for the API and for the page."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.db.models import QuerySet, Sum
from django.db.models.functions import Trunc
from django.utils import timezone

from inference.models import ApiKey, UsageHour

FIGURES = ("requests", "errors", "prompt_tokens", "completion_tokens", "cached_tokens", "seconds")
Step = Literal["day", "hour"]
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)  # nothing was used before; a date may be of the year 1
LONGEST = {"day": timedelta(days=400), "hour": timedelta(days=31)}


@dataclass(frozen=True, slots=True)
class Use:
    """What one key asked of one model from `at`, for a day or an hour. `errors` are among the requests."""

    at: datetime
    key_id: int
    key: str
    prefix: str
    model: str
    requests: int
    errors: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    seconds: float


def read_usage(
    keys: QuerySet[ApiKey], step: Step, since: datetime | None, until: datetime | None, model: str | None = None
) -> list[Use]:
    """Oldest first. Without `since`, the last 30 days or 48 hours; no more than 400 days, or 31 of hours."""
    now = timezone.now()
    until = min(max(until or now, BEGINNING), now)
    if since and since > until:
        return []
    since = max(since or until - (timedelta(days=29) if step == "day" else timedelta(hours=47)), until - LONGEST[step])
    first = since.replace(minute=0, second=0, microsecond=0)
    first = first.replace(hour=0) if step == "day" else first
    rows = UsageHour.objects.filter(key__in=keys, hour__gte=first, hour__lte=until)
    rows = rows.filter(model=model) if model is not None else rows
    grouped = rows.annotate(at=Trunc("hour", step)).order_by("at", "key_id", "model")
    sums: Iterable[Mapping[str, Any]] = grouped.values("at", "key_id", "key__name", "key__prefix", "model").annotate(
        **{f"sum_{name}": Sum(name) for name in FIGURES}
    )
    return [
        Use(
            at=row["at"],
            key_id=row["key_id"],
            key=row["key__name"],
            prefix=row["key__prefix"],
            model=row["model"],
            **{name: row[f"sum_{name}"] for name in FIGURES},
        )
        for row in sums
    ]


def totals(uses: Iterable[Use]) -> dict[str, float]:
    sums = dict.fromkeys(FIGURES, 0.0)
    for use in uses:
        for name in FIGURES:
            sums[name] += getattr(use, name)
    return {name: value if name == "seconds" else int(value) for name, value in sums.items()}
