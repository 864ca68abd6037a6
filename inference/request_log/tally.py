"""Sums that outlive the requests: usage by key, model and hour, and histograms for Prometheus."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from django.db.models import F

from inference.models import Histogram, UsageHour
from inference.request_log.visit import Visit

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
RATES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens")
BUCKETS: dict[str, tuple[float, ...]] = {
    "duration": SECONDS,
    "queue": SECONDS,
    "first_token": SECONDS,
    "rate": RATES,
    **dict.fromkeys(TOKENS, ()),
}
ERROR = 400
Label = tuple[str, str, str, str]


def add_to_usage(visits: Iterable[Visit]) -> None:
    sums: dict[tuple[datetime, int, str], dict[str, float]] = defaultdict(lambda: defaultdict(int))
    for visit in visits:
        if visit.key is None:
            continue
        one = sums[visit.at.replace(minute=0, second=0, microsecond=0), visit.key.pk, visit.model]
        one["requests"] += 1
        one["errors"] += visit.status >= ERROR
        one["seconds"] += visit.seconds
        for name in TOKENS:
            one[name] += getattr(visit, name)
    for (hour, key, model), figures in sorted(sums.items()):  # in one order, so that two processes never wait in a ring
        row, _new = UsageHour.objects.get_or_create(hour=hour, key_id=key, model=model)
        added = {name: F(name) + value for name, value in figures.items()}
        UsageHour.objects.filter(pk=row.pk).update(**added)


def add_to_histograms(visits: Iterable[Visit]) -> None:
    seen: dict[Label, list[float]] = defaultdict(list)
    for visit in visits:
        where = (visit.endpoint, visit.model)
        seen["duration", *where, str(visit.status)].append(visit.seconds)
        measured = (("queue", visit.queue_seconds), ("first_token", visit.first_token_seconds))
        spent = [(name, getattr(visit, name) or None) for name in TOKENS]
        for metric, value in (*measured, ("rate", visit.tokens_per_second), *spent):
            if value is not None:
                seen[metric, *where, ""].append(value)
    for (metric, endpoint, model, status), values in sorted(seen.items()):
        row, _new = Histogram.objects.get_or_create(metric=metric, endpoint=endpoint, model=model, status=status)
        _add(Histogram.objects.select_for_update().get(pk=row.pk), values)


def _add(row: Histogram, values: list[float]) -> None:
    bounds = BUCKETS[row.metric]
    counts = row.counts or [0] * (len(bounds) + 1)
    for value in values:
        counts[bisect_left(bounds, value)] += 1
    row.counts, row.total = counts, row.total + sum(values)
    row.save(update_fields=["counts", "total"])
