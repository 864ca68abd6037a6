"""`/metrics` for Prometheus: with an API key, or without one from this very machine."""

import ipaddress
from collections.abc import Callable, Iterator

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from fmlx_site.errors import Unauthorized
from inference.api.auth import key_of
from inference.api.errors import error_response
from inference.metrics import collect as inference
from memory.metrics import collect as memory
from videos.metrics import collect as videos

FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP")


class Collected(Collector):
    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()

    def describe(self) -> list[Metric]:
        """Nothing is read before somebody asks."""
        return []


REGISTRY = CollectorRegistry()
for source in (memory, inference, videos):
    REGISTRY.register(Collected(source))


async def metrics(request: HttpRequest) -> HttpResponse:
    if not _from_here(request):
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            await key_of(bearer or request.headers.get("X-API-Key"))
        except Unauthorized as refusal:
            return error_response(refusal)
    return HttpResponse(await sync_to_async(generate_latest)(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def _from_here(request: HttpRequest) -> bool:
    """A proxy on this machine speaks for others, and says so."""
    if any(name in request.META for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
