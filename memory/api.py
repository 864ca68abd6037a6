"""`/v1/memory`: what is promised, to whom, why the ceiling is where it is, and how it came to that."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router
from pydantic import AwareDatetime

from fmlx_site.errors import InvalidRequest, NotFound
from memory.history import clipped, finest, read_history
from memory.models import Event, Lease, Node, Sample
from memory.schemas import CeilingOut, EventOut, EventsOut, LeaseOut, MachineOut, MemoryOut, SamplesOut

router = Router(tags=["memory"])
Moment = AwareDatetime | None


@router.get("", response=MemoryOut, summary="What memory is promised")
async def get_memory(request: HttpRequest) -> MemoryOut:
    return await sync_to_async(read_memory)()


def read_memory() -> MemoryOut:
    rows = list(Node.objects.order_by("name"))
    nodes = {node.name: CeilingOut.of(node) for node in rows}
    machines = {node.name: MachineOut.of(sample) for node in rows if (sample := latest_of(node))}
    alone = next(iter(nodes.values())) if len(nodes) == 1 else None
    whole = alone or CeilingOut(bytes=sum(node.bytes for node in nodes.values()), terms={}, explained=[])
    leases = [LeaseOut.of(lease) for lease in Lease.objects.select_related("node").order_by("id")]
    return MemoryOut(ceiling=whole, leases=leases, nodes=nodes, machines=machines)


def latest_of(node: Node) -> Sample | None:
    return Sample.objects.filter(node=node, kind="").order_by("-at").first()


@router.get("/samples", response=SamplesOut, summary="What workers and the machine held")
async def get_samples(
    request: HttpRequest,
    since: Annotated[Moment, Query(alias="from")] = None,
    until: Annotated[Moment, Query(alias="to")] = None,
    resolution: Literal["1", "10", "60", "300", "3600"] | None = None,
    node: str | None = None,
) -> SamplesOut:
    return await sync_to_async(read_samples)(since, until, int(resolution) if resolution else None, node)


def read_samples(
    since: datetime | None = None, until: datetime | None = None, resolution: int | None = None, name: str | None = None
) -> SamplesOut:
    """Raises NotFound without a node of this name (without any, if none was named), or InvalidRequest."""
    named = Node.objects.filter(name=name) if name else Node.objects.order_by("-heartbeat_at")
    node = named.first()
    if node is None:
        raise NotFound(f"No node is named {name!r}." if name else "No node is known yet.", param="node")
    now = timezone.now()
    begin, end = clipped(since, until, now)
    if begin >= end:
        raise InvalidRequest("'from' is not before 'to'.", param="from")
    history = read_history(node.pk, begin, end, resolution or finest(begin, end, now))
    return SamplesOut.model_validate({"node": node.name, **asdict(history)})


@router.get("/events", response=EventsOut, summary="What happened to memory")
async def get_events(
    request: HttpRequest,
    since: Annotated[Moment, Query(alias="from")] = None,
    until: Annotated[Moment, Query(alias="to")] = None,
    what: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> EventsOut:
    return await sync_to_async(read_events)(since, until, what, limit)


def read_events(
    since: datetime | None = None, until: datetime | None = None, what: str | None = None, limit: int = 100
) -> EventsOut:
    """Raises InvalidRequest for a `what` that there is not."""
    if what is not None and what not in Event.What.values:
        raise InvalidRequest(f"{what!r} is none of {', '.join(Event.What.values)}.", param="what")
    asked = {"what": what, "at__gte": since, "at__lte": until}
    given = {name: value for name, value in asked.items() if value is not None}
    rows = list(Event.objects.filter(**given).select_related("node")[: limit + 1])
    return EventsOut(data=[EventOut.of(event) for event in rows[:limit]], has_more=len(rows) > limit)
