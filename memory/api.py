"""`GET /v1/memory`: what is promised, to whom, and why the ceiling is where it is."""

from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from memory.models import Lease, Node

router = Router(tags=["memory"])


class CeilingOut(Schema):
    bytes: int
    terms: dict[str, Any]


class LeaseOut(Schema):
    id: int
    kind: str
    holder: str
    bytes: int
    state: str


class MemoryOut(Schema):
    """Of every node together; `nodes` has each one's own."""

    ceiling: CeilingOut
    leases: list[LeaseOut]
    nodes: dict[str, CeilingOut]


@router.get("", response=MemoryOut, summary="What memory is promised")
async def get_memory(request: HttpRequest) -> MemoryOut:
    nodes = {
        node.name: CeilingOut(bytes=node.ceiling_bytes, terms=node.ceiling_terms)
        async for node in Node.objects.order_by("name")
    }
    leases = [
        LeaseOut(id=lease.pk, kind=lease.kind, holder=lease.holder, bytes=lease.bytes, state=lease.state)
        async for lease in Lease.objects.order_by("id")
    ]
    whole = CeilingOut(
        bytes=sum(node.bytes for node in nodes.values()),
        terms=next(iter(nodes.values())).terms if len(nodes) == 1 else {},
    )
    return MemoryOut(ceiling=whole, leases=leases, nodes=nodes)
