"""The rows of deliveries: which are due, who sends them, and what became of a try. Synchronous."""

import random
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from webhooks import options
from webhooks.errors import StillOnItsWay
from webhooks.models import Delivery, Endpoint, Try
from webhooks.sending import CONNECT_SECONDS, GONE, Answer

State = Delivery.State
AT_ONCE = 16
MOST_BACKOFF_SECONDS = 4 * 3600.0
KEPT = timedelta(days=30)
SLACK_SECONDS = 30.0  # a node that has not written down a try by then is gone


def claim() -> list[Delivery]:
    """Take what is due, first come first; the next of a subject only when the one before has ended."""
    now = timezone.now()
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    earlier = Delivery.objects.filter(
        endpoint=OuterRef("endpoint"), subject=OuterRef("subject"), state=State.PENDING, number__lt=OuterRef("number")
    )
    due = Delivery.objects.filter(~Exists(earlier), free, state=State.PENDING, next_at__lte=now).order_by("number")
    until = now + timedelta(seconds=options.TIMEOUT_SECONDS.value + CONNECT_SECONDS + SLACK_SECONDS)
    mine = []
    for delivery in due.select_related("endpoint")[:AT_ONCE]:
        if Delivery.objects.filter(free, pk=delivery.pk, state=State.PENDING).update(claimed_until=until):
            delivery.claimed_until = until
            mine.append(delivery)
    return mine


def release(delivery: Delivery) -> None:
    """It was claimed and not tried."""
    _mine(delivery).update(claimed_until=None)


def write_down(delivery: Delivery, answer: Answer) -> None:
    """What became of a try: taken, to be tried again, or given up."""
    now = timezone.now()
    with transaction.atomic():
        held = _mine(delivery)
        if not held.update(claimed_until=None, tries=F("tries") + 1):
            return  # the webhook was removed, or another node took the delivery over
        facts = {"status": answer.status, "problem": answer.problem, "seconds": answer.seconds}
        Try.objects.create(delivery=delivery, at=now, **facts)
        kept = Delivery.objects.filter(pk=delivery.pk)
        if answer.taken:
            kept.update(state=State.DELIVERED, delivered_at=now)
        elif answer.status == GONE:
            _close(delivery.endpoint_id, now)
        elif (now - delivery.since).total_seconds() >= options.TRY_SECONDS.value:
            kept.update(state=State.GIVEN_UP)
        else:
            kept.update(next_at=now + _back_off(delivery.tries + 1, answer.retry_after))


def _mine(delivery: Delivery) -> QuerySet[Delivery]:
    """While this claim holds."""
    return Delivery.objects.filter(pk=delivery.pk, state=State.PENDING, claimed_until=delivery.claimed_until)


def _close(endpoint_id: str, now: datetime) -> None:
    """It says that it wants to hear no more, as the standard has it."""
    Endpoint.objects.filter(pk=endpoint_id).update(gone_at=now)
    Delivery.objects.filter(endpoint=endpoint_id, state=State.PENDING).update(state=State.GIVEN_UP)


def _back_off(tries: int, asked: int) -> timedelta:
    """Doubling, with up to a tenth more, so that what failed together does not come back together."""
    seconds = min(options.BACKOFF_SECONDS.value * 2 ** min(tries - 1, 20), MOST_BACKOFF_SECONDS)
    return timedelta(seconds=max(seconds * (1 + random.random() / 10), asked))  # noqa: S311 - no secret


def replay(delivery: Delivery) -> Delivery:
    """Send it once more, under the same id. Raises StillOnItsWay."""
    now = timezone.now()
    ended = Delivery.objects.filter(pk=delivery.pk).exclude(state=State.PENDING)
    fields = {"tries": 0, "since": now, "next_at": now, "claimed_until": None, "delivered_at": None}
    if not ended.update(state=State.PENDING, **fields):
        raise StillOnItsWay(f"{delivery.event_id} is on its way already.", param="event_id")
    return Delivery.objects.get(pk=delivery.pk)


def forget_old() -> int:
    """Remove what ended long ago. Returns how many."""
    old = Delivery.objects.exclude(state=State.PENDING).filter(created_at__lt=timezone.now() - KEPT)
    return old.delete()[1].get("webhooks.Delivery", 0)
