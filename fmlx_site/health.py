"""Is the process up, and can it do its work."""

from datetime import timedelta

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from fmlx_site.live import channel_layer, layer_errors, listening
from memory.models import Node

HEARTBEAT_SECONDS = 10.0  # ten missed heartbeats
LAYER_SECONDS = 2.0


async def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"status": "ok"})


async def readyz(request: HttpRequest) -> JsonResponse:
    """200 when database, channel layer and at least one node answer; 503 with what does not."""
    checks = {"database": await _database(), "channel_layer": await _channel_layer()}
    checks["node"] = await _node() if checks["database"] == "ok" else "The database is away."
    ready = all(state == "ok" for state in checks.values())
    return JsonResponse({"status": "ok" if ready else "unready", **checks}, status=200 if ready else 503)


async def _database() -> str:
    try:
        await Node.objects.aexists()
    except (DatabaseError, InterfaceError) as error:
        return f"The database did not answer: {error}"
    return "ok"


async def _channel_layer() -> str:
    try:
        async with listening() as own:
            await channel_layer().send(own.channel, {"type": "ready"})
            heard = await own.next(LAYER_SECONDS)
    except layer_errors() as error:
        return f"The channel layer did not answer: {error}"
    return "ok" if heard else f"The channel layer did not give back an event within {LAYER_SECONDS:.0f} s."


async def _node() -> str:
    alive = Node.objects.filter(heartbeat_at__gt=timezone.now() - timedelta(seconds=HEARTBEAT_SECONDS))
    if await alive.aexists():
        return "ok"
    return f"No node has been heard of for {HEARTBEAT_SECONDS:.0f} s; start one with 'manage.py serve' or 'runworkers'."
