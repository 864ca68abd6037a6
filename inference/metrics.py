"""`fmlx_cache_*` for Prometheus: what is on this machine's disk, and what the engines that run say they did."""

from collections.abc import Iterator
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fmlx_site.errors import Unavailable
from inference.cache import engine_counts, read_cache
from inference.engine.cache.counts import NAMES

log = structlog.get_logger(__name__)
COUNTED = frozenset(NAMES)


def collect() -> Iterator[Metric]:
    try:
        yield from _disk()
    except Unavailable as away:
        log.warning("The cache's figures are missing from the metrics.", reason=away.message)
    yield from _engines(async_to_sync(engine_counts)())


def _disk() -> Iterator[Metric]:
    entries = GaugeMetricFamily("fmlx_cache_entries", "Blocks of the prefix cache on disk.", labels=["model"])
    size = GaugeMetricFamily("fmlx_cache_bytes", "What they take.", labels=["model"])
    disk = read_cache()
    names: dict[str, tuple[int, int]] = {}
    for held in disk.models:  # a model whose weights changed is there twice under one name
        count, taken = names.get(held.name, (0, 0))
        names[held.name] = count + held.entries, taken + held.bytes
    for name, (count, taken) in names.items():
        entries.add_metric([name], count)
        size.add_metric([name], taken)
    limit = GaugeMetricFamily("fmlx_cache_limit_bytes", "What all of them may take now.", value=disk.limit)
    quota = GaugeMetricFamily("fmlx_cache_quota_bytes", "FMLX_CACHE_BYTES.", value=disk.setting)
    yield from (entries, size, limit, quota)


def _engines(counts: dict[str, Any]) -> Iterator[Metric]:
    """Counters begin again when a model is loaded again."""
    hit = CounterMetricFamily("fmlx_cache_hit_tokens", "Tokens not computed again.", labels=["model", "tier"])
    missed = CounterMetricFamily("fmlx_cache_missed_tokens", "Tokens computed, by why.", labels=["model", "reason"])
    skipped = CounterMetricFamily("fmlx_cache_skipped_blocks", "Blocks not kept, by why.", labels=["model", "reason"])
    hot = GaugeMetricFamily("fmlx_cache_hot_bytes", "Blocks in an engine's memory.", labels=["model"])
    disk = CounterMetricFamily("fmlx_cache_disk", "What an engine did on disk: blocks.", labels=["model", "what"])
    for model, said in counts.items():
        for tier in ("hot", "ssd"):
            hit.add_metric([model, tier], said.get(f"hit_{tier}_tokens", 0))
        for family, name in ((missed, "missed"), (skipped, "skipped")):
            for reason, count in said.get(name, {}).items():
                family.add_metric([model, reason], count)
        hot.add_metric([model], said.get("hot", {}).get("bytes", 0))
        for what, count in said.get("ssd", {}).items():
            if what in COUNTED:
                disk.add_metric([model, what], count)
    yield from (hit, missed, skipped, hot, disk)
