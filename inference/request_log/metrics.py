"""`fmlx_request_*` for Prometheus, read from the database: the same from every site process."""

from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from inference.models import Histogram
from inference.request_log.tally import BUCKETS, TOKENS

HELP = {
    "duration": ("fmlx_request_seconds", "From a request's coming to the end of its answer."),
    "queue": ("fmlx_request_queue_seconds", "From a prompt's coming until an engine worked on it, loading included."),
    "first_token": ("fmlx_request_first_token_seconds", "From a prompt's coming to its first token."),
    "rate": ("fmlx_request_tokens_per_second", "Of one answer, after its first token."),
}


def collect() -> Iterator[Metric]:
    families = {}
    for metric, (name, text) in HELP.items():
        labels = ["endpoint", "model", *(["status"] if metric == "duration" else [])]
        families[metric] = HistogramMetricFamily(name, text, labels=labels)
    tokens = CounterMetricFamily("fmlx_request_tokens", "Tokens in, out, and from the cache.", labels=["model", "kind"])
    sums: Counter[tuple[str, str]] = Counter()
    for row in Histogram.objects.order_by("metric", "endpoint", "model", "status"):
        if row.metric in TOKENS:
            sums[row.model, row.metric] += int(row.total)
            continue
        labels = [row.endpoint, row.model, *([row.status] if row.metric == "duration" else [])]
        bounds = [*(str(bound) for bound in BUCKETS[row.metric]), "+Inf"]
        families[row.metric].add_metric(labels, list(zip(bounds, accumulate(row.counts), strict=True)), row.total)
    for (model, kind), count in sums.items():
        tokens.add_metric([model, kind], count)
    yield from families.values()
    yield tokens
