"""Samples into summaries: 10 s and 5 min, each from the raw samples, which are kept long enough for both."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from memory.models import Measured, Sample, Summary
from memory.timeline import SAMPLES_KEPT, SUMMARIES_KEPT

Who = tuple[str, str]  # kind and holder; both empty for the machine
MACHINE: Who = ("", "")


@dataclass(slots=True)
class Span:
    """What one worker, or the machine, did in one span."""

    total: int = 0
    most: int = 0
    count: int = 0
    lease: int | None = None
    ceiling: int | None = None
    cap: int | None = None

    def add(self, mean: int, most: int, row: Measured) -> None:
        """Of leases the largest counts, of ceilings the lowest."""
        self.total, self.count, self.most = self.total + mean, self.count + 1, max(self.most, most)
        self.lease = _of(max, self.lease, row.lease_bytes)
        self.ceiling = _of(min, self.ceiling, row.ceiling_bytes)
        self.cap = _of(min, self.cap, row.cap_bytes)


@dataclass(slots=True)
class Spans:
    """Rows of any source put into spans of `seconds`, by when they begin (seconds since the epoch)."""

    seconds: int
    spans: dict[int, dict[Who, Span]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Span)))

    def add(self, rows: Iterable[Sample | Summary]) -> None:
        for row in rows:
            mean = row.mean_bytes if isinstance(row, Summary) else row.footprint_bytes
            most = row.max_bytes if isinstance(row, Summary) else row.footprint_bytes
            self.spans[start_of(row.at, self.seconds)][row.kind, row.holder].add(mean, most, row)

    def mean(self, start: int, who: Who) -> int:
        """Over the span and not only over the worker's part of it, so that the means of all add up."""
        span = self.spans[start][who]
        ticks = self.spans[start][MACHINE].count if MACHINE in self.spans[start] else span.count
        return span.total // max(ticks, span.count)


def start_of(at: datetime, seconds: int) -> int:
    return int(at.timestamp()) // seconds * seconds


class Summarist:
    """Writes a node's summaries as their spans end. After a restart it begins where it left off."""

    def __init__(self, node_id: int) -> None:
        self._node_id = node_id
        self._next = dict.fromkeys(SUMMARIES_KEPT, 0)

    def write(self, now: datetime) -> None:
        for seconds in SUMMARIES_KEPT:
            end = start_of(now, seconds)
            if end >= self._next[seconds]:
                self._summarise(seconds, now, datetime.fromtimestamp(end, UTC))
                self._next[seconds] = end + seconds

    def _summarise(self, seconds: int, now: datetime, end: datetime) -> None:
        spans = Spans(seconds)
        since = self._since(seconds, now)
        spans.add(Sample.objects.filter(node_id=self._node_id, at__gte=since, at__lt=end).order_by())
        rows = [
            Summary(
                node_id=self._node_id,
                seconds=seconds,
                at=datetime.fromtimestamp(start, UTC),
                kind=who[0],
                holder=who[1],
                mean_bytes=spans.mean(start, who),
                max_bytes=span.most,
                lease_bytes=span.lease,
                ceiling_bytes=span.ceiling,
                cap_bytes=span.cap,
            )
            for start, workers in spans.spans.items()
            for who, span in workers.items()
        ]
        Summary.objects.bulk_create(rows, ignore_conflicts=True)

    def _since(self, seconds: int, now: datetime) -> datetime:
        """After the last span that is written; at first the first whole span of the samples that are kept."""
        mine = Summary.objects.filter(node_id=self._node_id, seconds=seconds)
        last = mine.order_by("-at").values_list("at", flat=True).first()
        kept = datetime.fromtimestamp(start_of(now - SAMPLES_KEPT, seconds) + seconds, UTC)
        return max(kept, last + timedelta(seconds=seconds)) if last else kept


def _of(choose: Callable[[list[int]], int], one: int | None, other: int | None) -> int | None:
    known = [value for value in (one, other) if value is not None]
    return choose(known) if known else None
