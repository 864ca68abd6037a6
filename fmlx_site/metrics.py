"""`/metrics` for Prometheus: with an API key, or without one from this very machine."""

from collections.abc import Callable, Iterator

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from fmlx_site.errors import Forbidden, Unauthorized
from inference.api.auth import check_scope, is_local, key_of
from inference.api.errors import error_response
from inference.metrics import collect as inference
from inference.models import Scope
from inference.request_log.metrics import collect as requests
from memory.metrics import collect as memory
from videos.metrics import collect as videos


class Collected(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()

    def describe(self) -> list[Metric]:
        """Nothing is read before somebody asks."""
        return []


REGISTRY = CollectorRegistry()
for source in (memory, inference, requests, videos):
    REGISTRY.register(Collected(source))


async def metrics(request: HttpRequest) -> HttpResponse:
    if not is_local(request):
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            check_scope(await key_of(request, bearer or request.headers.get("X-API-Key")), Scope.METRICS)
        except (Unauthorized, Forbidden) as refusal:
            return error_response(refusal, request.path)
    return HttpResponse(await sync_to_async(generate_latest)(REGISTRY), content_type=CONTENT_TYPE_LATEST)
