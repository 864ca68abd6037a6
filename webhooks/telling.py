"""What happens is written down as deliveries, one for each endpoint that hears of it."""

import json
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from webhooks.models import Delivery, Endpoint, new_event_id

TYPES = ("video.completed", "video.failed", "batch.completed", "batch.cancelled")
TEST = "webhook.test"


def tell(key_id: int | None, type_: str, subject: str, data: Mapping[str, Any]) -> None:
    """Call it in the transaction of what happened: there is no end of a job without its event, and none before it."""
    if key_id is not None:
        hearing = Endpoint.objects.filter(key=key_id, key__revoked_at=None, gone_at=None)
        _write([endpoint for endpoint in hearing if type_ in endpoint.events], type_, subject, data)


def tell_test(endpoint: Endpoint) -> Delivery:
    """An event that says nothing, to try an endpoint with."""
    return _write([endpoint], TEST, endpoint.id, {"id": endpoint.id})[0]


def _write(endpoints: list[Endpoint], type_: str, subject: str, data: Mapping[str, Any]) -> list[Delivery]:
    """OpenAI's form of an event."""
    now = timezone.now()
    made = []
    for endpoint in endpoints:
        event = {"id": new_event_id(), "object": "event", "created_at": int(now.timestamp()), "type": type_}
        body = json.dumps({**event, "data": dict(data)}, separators=(",", ":"))
        facts = {"event_id": event["id"], "type": type_, "subject": subject, "body": body}
        made.append(Delivery(endpoint=endpoint, created_at=now, since=now, next_at=now, **facts))
    return Delivery.objects.bulk_create(made)
