"""Reading the timeline: what each worker held from one moment to another, in columns for charts."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from memory.models import Sample, Summary
from memory.summaries import MACHINE, Span, Spans, Who
from memory.timeline import SAMPLES_KEPT, SUMMARIES_KEPT

RESOLUTIONS = (1, 10, 60, 300, 3600)  # seconds
MOST_POINTS = 3600  # of a column, when the reader does not say how fine it should be
MOST_BANDS = 20  # workers with columns of their own; the rest are added up by kind


@dataclass(slots=True)
class Band:
    """A worker's columns, or those of `merged` workers of a kind together. Bytes; None where there was none."""

    kind: str
    holder: str
    merged: int = 1
    footprint: list[int | None] = field(default_factory=list)
    peak: list[int | None] = field(default_factory=list)
    lease: list[int | None] = field(default_factory=list)


@dataclass(slots=True)
class History:
    """`at` is in seconds since the epoch. For the machine, footprint is what everybody uses and lease the sum."""

    resolution: int
    at: list[int]
    machine: Band
    ceiling: list[int | None]
    cap: list[int | None]
    workers: list[Band]


def finest(since: datetime, until: datetime, now: datetime) -> int:
    """The finest resolution that is kept for the whole time and comes to no more than a chart can show."""
    seconds = (until - since).total_seconds()
    kept = {1: SAMPLES_KEPT, 10: SUMMARIES_KEPT[10], 60: SUMMARIES_KEPT[10]}
    for resolution in RESOLUTIONS:
        whole = now - since <= kept.get(resolution, timedelta.max)
        if whole and seconds / resolution <= MOST_POINTS:
            return resolution
    return RESOLUTIONS[-1]


def read_history(node_id: int, since: datetime, until: datetime, resolution: int) -> History:
    spans = Spans(resolution)
    begin = since
    source = max((seconds for seconds in SUMMARIES_KEPT if seconds <= resolution), default=0)
    if source:
        rows = Summary.objects.filter(node_id=node_id, seconds=source, at__gte=since, at__lt=until)
        spans.add(rows)
        if spans.spans:
            begin = datetime.fromtimestamp(max(spans.spans), UTC) + timedelta(seconds=resolution)
    # What is too new to be summarised is read from the samples.
    spans.add(Sample.objects.filter(node_id=node_id, at__gte=begin, at__lt=until).order_by())
    return _columns(spans)


def _columns(spans: Spans) -> History:
    starts = sorted(spans.spans)
    bands = _bands(spans)
    whole = Band(*MACHINE)
    history = History(spans.seconds, starts, whole, [], [], bands)
    members = _members(bands, spans)
    for start in starts:
        _append(whole, spans, start, [MACHINE])
        machine = spans.spans[start].get(MACHINE, Span())
        history.ceiling.append(machine.ceiling)
        history.cap.append(machine.cap)
        for index, band in enumerate(bands):
            _append(band, spans, start, members[index])
    return history


def _append(band: Band, spans: Spans, start: int, members: list[Who]) -> None:
    there = [who for who in members if who in spans.spans[start]]
    rows = [spans.spans[start][who] for who in there]
    band.footprint.append(sum(spans.mean(start, who) for who in there) if rows else None)
    band.peak.append(sum(row.most for row in rows) if rows else None)
    band.lease.append(sum(row.lease or 0 for row in rows) if rows else None)


def _weights(spans: Spans) -> Counter[Who]:
    weights: Counter[Who] = Counter()
    for workers in spans.spans.values():
        for who, span in workers.items():
            weights[who] += span.total
    weights.pop(MACHINE, None)
    return weights


def _bands(spans: Spans) -> list[Band]:
    """The largest workers in the order in which they came, then the rest of each kind."""
    ranked = [who for who, _ in _weights(spans).most_common()]
    first = {who: start for start in sorted(spans.spans, reverse=True) for who in spans.spans[start]}
    own = sorted(ranked[:MOST_BANDS], key=lambda who: (first[who], who))
    rest = Counter(kind for kind, _ in ranked[MOST_BANDS:])
    return [*(Band(*who) for who in own), *(Band(kind, "", count) for kind, count in sorted(rest.items()))]


def _members(bands: list[Band], spans: Spans) -> list[list[Who]]:
    own = {(band.kind, band.holder) for band in bands if band.holder}
    rest = [who for who in _weights(spans) if who not in own]
    return [
        [(band.kind, band.holder)] if band.holder else [who for who in rest if who[0] == band.kind] for band in bands
    ]


def clipped(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """The last hour unless told otherwise, and nothing older than what is kept."""
    until = min(until or now, now) + timedelta(seconds=1)
    oldest = now - SUMMARIES_KEPT[300]
    return max(since or until - timedelta(hours=1), oldest), until
