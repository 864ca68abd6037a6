"""`fmlx_memory_*` and `fmlx_worker_*` for Prometheus, read from the database: the same from every site process."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from memory.decisions import PREFIX
from memory.models import Event, Lease, Node, Sample, Tally

TERMS = ("static", "dynamic", "device", "cap")
WHO = ("node", "kind", "holder")
REFUSED = ("wanted", "leased", "ceiling")


def collect() -> Iterator[Metric]:
    nodes = {node.pk: node for node in Node.objects.order_by("name")}
    yield from _ceilings(nodes)
    yield from _machines(nodes)
    yield from _events(nodes)
    yield from _workers()


def _ceilings(nodes: dict[int, Node]) -> Iterator[Metric]:
    ceiling = GaugeMetricFamily("fmlx_memory_ceiling_bytes", "What may be promised.", labels=["node"])
    terms = GaugeMetricFamily("fmlx_memory_term_bytes", "Terms of the ceiling, and the cap.", labels=["node", "term"])
    heartbeat = GaugeMetricFamily("fmlx_memory_node_heartbeat_seconds", "When the node last wrote.", labels=["node"])
    for node in nodes.values():
        ceiling.add_metric([node.name], node.ceiling_bytes)
        heartbeat.add_metric([node.name], node.heartbeat_at.timestamp())
        for term in TERMS:
            if (size := node.ceiling_terms.get(term)) is not None:
                terms.add_metric([node.name, term], size)
    yield from (ceiling, terms, heartbeat)


def _machines(nodes: dict[int, Node]) -> Iterator[Metric]:
    used = GaugeMetricFamily("fmlx_memory_used_bytes", "In use by everybody on the machine.", labels=["node"])
    free = GaugeMetricFamily("fmlx_memory_available_bytes", "What the system could still give.", labels=["node"])
    leased = GaugeMetricFamily("fmlx_memory_leased_bytes", "Promised to workers, all together.", labels=["node"])
    for pk, node in nodes.items():
        sample = Sample.objects.filter(node_id=pk, kind="").order_by("-at").first()
        if sample is None:
            continue
        used.add_metric([node.name], sample.footprint_bytes)
        free.add_metric([node.name], sample.available_bytes or 0)
        leased.add_metric([node.name], sample.lease_bytes or 0)
    yield from (used, free, leased)


def _events(nodes: dict[int, Node]) -> Iterator[Metric]:
    total = CounterMetricFamily("fmlx_memory_events", "Events of each kind since ever.", labels=["node", "what"])
    gates = CounterMetricFamily(
        "fmlx_memory_gate_decisions", "What engines' gates decided since ever.", labels=["node", "decision"]
    )
    for tally in Tally.objects.order_by("node_id", "what"):
        of_gate = tally.what.startswith(PREFIX)
        family = gates if of_gate else total
        family.add_metric([nodes[tally.node_id].name, tally.what.removeprefix(PREFIX)], tally.count)
    refused = GaugeMetricFamily(
        "fmlx_memory_last_refusal_bytes", "The figures of the last refusal.", labels=[*WHO, "figure"]
    )
    for pk, node in nodes.items():
        last = Event.objects.filter(node_id=pk, what=Event.What.REFUSED).first()
        for figure in REFUSED:
            if last and figure in last.figures:
                refused.add_metric([node.name, last.kind, last.holder, figure], last.figures[figure])
    yield from (total, gates, refused)


def _workers() -> Iterator[Metric]:
    lease = GaugeMetricFamily("fmlx_worker_lease_bytes", "Promised to the worker.", labels=WHO)
    held = GaugeMetricFamily("fmlx_worker_footprint_bytes", "Held by the worker.", labels=WHO)
    peak = GaugeMetricFamily("fmlx_worker_peak_bytes", "The most the worker ever held.", labels=WHO)
    since = GaugeMetricFamily("fmlx_worker_start_seconds", "When its memory was promised.", labels=WHO)
    for row in Lease.objects.select_related("node").order_by("id"):
        who = [row.node.name, row.kind, row.holder]
        lease.add_metric(who, row.bytes)
        since.add_metric(who, row.created_at.timestamp())
        if row.footprint_bytes is not None:
            held.add_metric(who, row.footprint_bytes)
            peak.add_metric(who, row.peak_bytes or 0)
    yield from (lease, held, peak, since)
