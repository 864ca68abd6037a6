"""Every change of a stored response, each in one transaction, and what is read of them."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from inference.errors import PreviousNotFound, ResponseNotFound
from inference.models import ApiKey, ResponseEvents, StoredResponse
from inference.options import RESPONSES_KEEP_COUNT, RESPONSES_KEEP_SECONDS

Json = dict[str, Any]
Status = StoredResponse.Status
RUNNING = (Status.QUEUED, Status.IN_PROGRESS)
ENDED = [status for status in Status if status not in RUNNING]
STALE_SECONDS = 15.0  # a maker says twice a second that it is there
MOST_ATTEMPTS = 3
KEPT_BYTES = 4 * 1024**3


def group_of(response_id: str) -> str:
    return f"response-{response_id}"


def find(key: ApiKey, response_id: str) -> StoredResponse:
    """Raises ResponseNotFound, also for another key's."""
    row = StoredResponse.objects.select_related("key").filter(pk=response_id, key=key).first()
    if row is None:
        raise ResponseNotFound(f"No response with the id {response_id!r} is stored for this key.", param="response_id")
    return row


def earlier(key: ApiKey, previous: str | None) -> tuple[list[str], list[Json]]:
    """The ids of a conversation's responses, and their items. Raises PreviousNotFound."""
    if previous is None:
        return [], []
    last = StoredResponse.objects.filter(pk=previous, key=key).first()
    ids = [*last.before, last.pk] if last else []
    rows = StoredResponse.objects.filter(key=key).in_bulk(ids)
    missing = next((id_ for id_ in ids or [previous] if id_ not in rows), None)
    if missing is not None:
        what = "is not stored for this key" if missing == previous else f"goes on from {missing!r}, which is gone"
        raise PreviousNotFound(f"The response {previous!r} {what}.", param="previous_response_id")
    if not rows[previous].ended:
        text = f"The response {previous!r} is {rows[previous].status}; go on from it when it has ended."
        raise PreviousNotFound(text, param="previous_response_id")
    return ids, [item for id_ in ids for item in (*rows[id_].input, *rows[id_].body.get("output", ()))]


def keep(row: StoredResponse, said: Sequence[bytes]) -> None:
    """A response that has ended, or is in line, with what its stream said. Does nothing when its key is gone."""
    row.size_bytes = len(json.dumps([row.asked, row.input, row.body])) + sum(map(len, said))
    with transaction.atomic():
        if ApiKey.objects.filter(pk=row.key_id).exists():
            row.save(force_insert=True)
            _add(row.pk, 0, said)


def claim(row: StoredResponse, process: str) -> bool:
    """It is this process's to make."""
    mine = StoredResponse.objects.filter(pk=row.pk, status=row.status, maker=row.maker, attempts=row.attempts)
    claimed = mine.update(status=row.status, maker=process, seen_at=timezone.now(), attempts=row.attempts + 1)
    if claimed:
        row.maker, row.attempts = process, row.attempts + 1
    return bool(claimed)


def save(row: StoredResponse, first: int, said: Sequence[bytes]) -> bool:
    """That it is being made, and what its stream said since. False when it was cancelled, deleted, or is another's."""
    with transaction.atomic():
        mine = StoredResponse.objects.filter(pk=row.pk, maker=row.maker, attempts=row.attempts, status__in=RUNNING)
        if not mine.update(seen_at=timezone.now(), status=row.body["status"], body=row.body):
            return False
        _add(row.pk, first, said)
    return True


def settle(row: StoredResponse, first: int, said: Sequence[bytes]) -> bool:
    """It has ended as its body says. False as in `save`."""
    with transaction.atomic():
        mine = StoredResponse.objects.filter(pk=row.pk, maker=row.maker, attempts=row.attempts, status__in=RUNNING)
        size = row.size_bytes + len(json.dumps(row.body["output"])) + sum(map(len, said))
        if not mine.update(status=row.body["status"], body=row.body, asked={}, size_bytes=size):
            return False
        _add(row.pk, first, said)
    return True


def cancel(row: StoredResponse) -> StoredResponse:
    """Its maker ends when it next says that it is there. One that has ended stays as it is."""
    with transaction.atomic():
        there = StoredResponse.objects.select_for_update().filter(pk=row.pk).first()
        if there is None or there.ended:
            return there or row
        there.status = Status.CANCELLED
        there.body = {**there.body, "status": there.status.value}
        there.asked = {}
        there.save()
        if there.streamed:  # there is no event of its own for it
            number = last_number(there.pk) + 1
            said = {"type": "response.failed", "response": there.body, "sequence_number": number}
            _add(there.pk, number, [f"event: response.failed\ndata: {json.dumps(said)}\n\n".encode()])
    return there


def take_back(row: StoredResponse, number: int) -> None:
    """What its stream said from an event on, which nobody was told yet, is said anew."""
    ResponseEvents.objects.filter(response_id=row.pk, first__gte=number).delete()


def delete(row: StoredResponse) -> None:
    StoredResponse.objects.filter(pk=row.pk).delete()


def forsaken(row: StoredResponse) -> bool:
    """Its maker is gone, and it has not ended."""
    stale = timezone.now() - timedelta(seconds=STALE_SECONDS)
    return not row.ended and (row.seen_at or row.created_at) < stale


def events_after(row_id: str, number: int) -> list[tuple[int, str]]:
    """Every event of its stream after that of a number, each with its own."""
    found: list[tuple[int, str]] = []
    for piece in ResponseEvents.objects.filter(response_id=row_id, last__gt=number).order_by("first"):
        events = piece.text.removesuffix("\n\n").split("\n\n")
        found += [(piece.first + at, event) for at, event in enumerate(events) if piece.first + at > number]
    return found


def last_number(row_id: str) -> int:
    last = ResponseEvents.objects.filter(response_id=row_id).order_by("-first").values_list("last", flat=True).first()
    return -1 if last is None else last


def purge() -> None:
    """By age, by count and by bytes, the oldest first."""
    ended = StoredResponse.objects.exclude(status__in=RUNNING)
    ended.filter(created_at__lt=timezone.now() - timedelta(seconds=RESPONSES_KEEP_SECONDS.value)).delete()
    kept, total = 0, 0
    for created_at, size in ended.order_by("-created_at").values_list("created_at", "size_bytes").iterator():
        kept, total = kept + 1, total + size
        if kept > RESPONSES_KEEP_COUNT.value or total > KEPT_BYTES:
            ended.filter(created_at__lte=created_at).delete()
            return


def _add(row_id: str, first: int, said: Sequence[bytes]) -> None:
    if said:
        text = b"".join(said).decode()
        ResponseEvents.objects.create(response_id=row_id, first=first, last=first + len(said) - 1, text=text)
