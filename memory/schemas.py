"""The wire's shapes under `/v1/memory`. Sizes are bytes, times UTC."""

from datetime import datetime
from typing import Any, Self

from ninja import Schema

from memory.arithmetic import spell_out
from memory.models import Event, Lease, Node, Sample


class TermOut(Schema):
    name: str
    bytes: int | None
    sentence: str
    decides: bool


class CeilingOut(Schema):
    bytes: int
    terms: dict[str, Any]
    explained: list[TermOut]

    @classmethod
    def of(cls, node: Node) -> Self:
        explained = [
            TermOut(name=term.name, bytes=term.bytes, sentence=term.sentence, decides=term.decides)
            for term in spell_out(node.ceiling_terms)
        ]
        return cls(bytes=node.ceiling_bytes, terms=node.ceiling_terms, explained=explained)


class LeaseOut(Schema):
    id: int
    node: str
    kind: str
    holder: str
    bytes: int
    state: str
    footprint_bytes: int | None
    peak_bytes: int | None
    pinned: bool
    since: datetime
    ends_at: datetime | None

    @classmethod
    def of(cls, lease: Lease) -> Self:
        copied = ("kind", "holder", "bytes", "state", "footprint_bytes", "peak_bytes", "pinned", "ends_at")
        fields = {name: getattr(lease, name) for name in copied}
        return cls(id=lease.pk, node=lease.node.name, since=lease.created_at, **fields)


class MachineOut(Schema):
    """`leased_bytes` and `ceiling_bytes` as they were at the reading."""

    at: datetime
    used_bytes: int
    available_bytes: int | None
    leased_bytes: int | None
    ceiling_bytes: int | None
    cap_bytes: int | None

    @classmethod
    def of(cls, sample: Sample) -> Self:
        return cls(
            at=sample.at,
            used_bytes=sample.footprint_bytes,
            available_bytes=sample.available_bytes,
            leased_bytes=sample.lease_bytes,
            ceiling_bytes=sample.ceiling_bytes,
            cap_bytes=sample.cap_bytes,
        )


class MemoryOut(Schema):
    """Of every node together; `nodes` has each one's own ceiling and `machines` its latest reading."""

    ceiling: CeilingOut
    leases: list[LeaseOut]
    nodes: dict[str, CeilingOut]
    machines: dict[str, MachineOut]


class BandOut(Schema):
    """A worker's columns, or those of `merged` small ones of a kind together, then without a holder."""

    kind: str
    holder: str
    merged: int
    footprint: list[int | None]
    peak: list[int | None]
    lease: list[int | None]


class SamplesOut(Schema):
    """Columns: the n-th entry of each is about the `resolution` seconds from the n-th `at` (seconds since 1970)."""

    node: str
    resolution: int
    at: list[int]
    machine: BandOut
    ceiling: list[int | None]
    cap: list[int | None]
    workers: list[BandOut]


class EventOut(Schema):
    id: int
    node: str
    at: datetime
    what: str
    kind: str
    holder: str
    lease: int | None
    bytes: int | None
    message: str
    figures: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> Self:
        copied = ("at", "what", "kind", "holder", "lease", "bytes", "message", "figures")
        return cls(id=event.pk, node=event.node.name, **{name: getattr(event, name) for name in copied})


class EventsOut(Schema):
    """Newest first."""

    data: list[EventOut]
    has_more: bool
