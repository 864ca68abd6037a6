"""What the Memory page shows, read in a number of queries that does not grow with the rows."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from django.utils import timezone

from memory import words
from memory.arithmetic import Term, spell_out
from memory.history import read_history
from memory.models import Event, Lease, Node

EVENTS_SHOWN = 100
TABLE_SPAN, TABLE_STEP = timedelta(hours=1), 300  # the chart as a table: an hour in steps of 5 min
GATE = "gate"
DECISIONS = (Event.What.REFUSED, Event.What.KILLED, Event.What.EVICTED, Event.What.SHORT, Event.What.CEILING)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the chart as a table. Bytes."""

    at: datetime
    used: int | None
    held: int
    leased: int | None
    ceiling: int | None


@dataclass(slots=True)
class LeaseRow:
    lease: Lease
    sizes: list[tuple[datetime, int]] = field(default_factory=list)  # promised at first, and after each change

    @property
    def first(self) -> int:
        return self.sizes[0][1] if self.sizes else self.lease.bytes


@dataclass(frozen=True, slots=True)
class Gate:
    """What an engine's gate decided, `times` within a minute, with the figures of the last time. Bytes."""

    at: datetime
    model: str
    decision: words.Word
    times: int | None
    need: int | None
    bound: int | None
    lease: int | None
    tokens: int | None

    @classmethod
    def of(cls, event: Event) -> Self:
        said = event.figures
        decision = words.of_decision(str(said.get("decision", "")))
        figures = [said.get(name) for name in ("times", "need_bytes", "bound_bytes", "lease_bytes", "tokens")]
        return cls(event.at, event.holder, decision, *figures)


@dataclass(frozen=True, slots=True)
class State:
    """One node's memory."""

    node: Node
    nodes: list[Node]
    leases: list[LeaseRow]
    terms: list[Term]
    events: list[Event]
    gates: list[Gate]
    table: list[Row]

    @property
    def leased(self) -> int:
        return sum(row.lease.bytes for row in self.leases)

    @property
    def free(self) -> int:
        return max(0, self.node.ceiling_bytes - self.leased)

    @property
    def held(self) -> int:
        return sum(row.lease.footprint_bytes or 0 for row in self.leases)


def read_state(name: str | None) -> State | None:
    """The node of this name, or the one that was heard of last; None when there is none."""
    nodes = list(Node.objects.order_by("name"))
    named = [node for node in nodes if node.name == name]
    if not nodes:
        return None
    node = named[0] if named else max(nodes, key=lambda one: one.heartbeat_at)
    hour = timezone.now() - TABLE_SPAN
    lately = Event.objects.filter(node=node, at__gte=hour)
    decided = list(lately.filter(what__in=(*DECISIONS, GATE))[: 2 * EVENTS_SHOWN])
    events = [event for event in decided if event.what != GATE]
    gates = [Gate.of(event) for event in decided if event.what == GATE]
    return State(node, nodes, _leases(node), spell_out(node.ceiling_terms), events, gates, _table(node))


def _leases(node: Node) -> list[LeaseRow]:
    rows = {lease.pk: LeaseRow(lease) for lease in Lease.objects.filter(node=node).order_by("id")}
    sizes = Event.objects.filter(lease__in=rows, what__in=(Event.What.RESERVED, Event.What.RESIZED), node=node)
    for event in sizes.order_by("id"):
        rows[event.lease or 0].sizes.append((event.at, event.bytes or 0))
    return list(rows.values())


def _table(node: Node) -> list[Row]:
    now = timezone.now()
    history = read_history(node.pk, now - TABLE_SPAN, now, TABLE_STEP)
    return [
        Row(
            at=datetime.fromtimestamp(at, UTC),
            used=history.machine.footprint[index],
            held=sum(band.footprint[index] or 0 for band in history.workers),
            leased=history.machine.lease[index],
            ceiling=history.ceiling[index],
        )
        for index, at in reversed(list(enumerate(history.at)))
    ]
