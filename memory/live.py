"""Memory as open pages follow it: once a second what the node just wrote down."""

import time
from dataclasses import asdict
from typing import Any

from memory.ceiling import Ceiling
from memory.models import Event, Node
from memory.sampler import Sample

GROUP = "memory"


def tick_of(node: Node, sample: Sample, ceiling: Ceiling, leased: int) -> dict[str, Any]:
    """Bytes. `event` is the number of the newest event, so that a page knows when to look."""
    newest = Event.objects.filter(node=node).order_by("-id").values_list("id", flat=True).first()
    return {
        "node": node.name,
        "at": int(time.time()),
        "used": sample.machine.used,
        "leased": leased,
        "ceiling": ceiling.bytes,
        "cap": ceiling.cap,
        "workers": [asdict(one) for one in sample.workers],
        "event": newest or 0,
    }
