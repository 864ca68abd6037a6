"""Writing down what happens to memory, as events with their figures. Synchronous."""

from datetime import timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from memory.errors import NeverFits, NoRoom
from memory.models import Event, Sample, Summary, Tally
from memory.sentences import parts_of

log = structlog.get_logger(__name__)
What = Event.What
SAMPLES_KEPT = timedelta(hours=1)
SUMMARIES_KEPT = {10: timedelta(hours=48), 300: timedelta(days=30)}  # seconds of each summary
EVENTS_KEPT = timedelta(days=30)
MOST_EVENTS = 100_000  # some 20 MB
WAITING = 1000  # refused workers that are remembered, so that a wait is one event


def record(node_id: int, what: str, *, kind: str = "", holder: str = "", message: str = "", **fields: Any) -> Event:
    """`fields` are the event's `lease`, `bytes` and `figures`."""
    with transaction.atomic():
        count(node_id, what)
        said = parts_of(message)
        return Event.objects.create(
            node_id=node_id, what=what, kind=kind, holder=holder[:200], message=message, said=said, **fields
        )


def count(node_id: int, what: str, times: int = 1) -> None:
    tally, made = Tally.objects.get_or_create(node_id=node_id, what=what, defaults={"count": times})
    if not made:
        Tally.objects.filter(pk=tally.pk).update(count=F("count") + times)


def figures_of(refusal: NoRoom | NeverFits) -> dict[str, Any]:
    """The numbers of the refusal's own sentence."""
    leased = {"leased": refusal.leased} if isinstance(refusal, NoRoom) else {}
    return {"code": refusal.code, "wanted": refusal.wanted, "ceiling": refusal.ceiling, **leased}


class Refusals:
    """What one node refuses. Who asks again and again is one event, whose figures are those of the last time."""

    def __init__(self, node_id: int) -> None:
        self._node_id = node_id
        self._waiting: dict[tuple[str, str], tuple[int, str]] = {}

    def tell(self, kind: str, holder: str, refusal: NoRoom | NeverFits) -> None:
        """In the log and on the timeline; nothing if it was told with the same figures before."""
        event, told = self._waiting.pop((kind, holder), (0, ""))
        if told != refusal.message:
            figures = figures_of(refusal)
            log.info("lease_refused", kind=kind, holder=holder, message=refusal.message, **figures)
            event = self._write(event, kind, holder, refusal, figures)
        self._waiting[kind, holder] = (event, refusal.message)
        if len(self._waiting) > WAITING:
            self._waiting.pop(next(iter(self._waiting)))

    def over(self, kind: str, holder: str) -> None:
        """It was promised its memory: a refusal after this is another one."""
        self._waiting.pop((kind, holder), None)

    def _write(self, event: int, kind: str, holder: str, refusal: NoRoom | NeverFits, figures: dict[str, Any]) -> int:
        changed: dict[str, Any] = {"message": refusal.message, "bytes": refusal.wanted, "figures": figures}
        if event and Event.objects.filter(pk=event).update(said=parts_of(refusal.message), **changed):
            return event
        return record(self._node_id, What.REFUSED, kind=kind, holder=holder, **changed).pk


def purge(node_id: int) -> None:
    """Keep what is kept, by age and by number."""
    now = timezone.now()
    Sample.objects.filter(node_id=node_id, at__lt=now - SAMPLES_KEPT).delete()
    for seconds, kept in SUMMARIES_KEPT.items():
        Summary.objects.filter(node_id=node_id, seconds=seconds, at__lt=now - kept).delete()
    events = Event.objects.filter(node_id=node_id)
    events.filter(at__lt=now - EVENTS_KEPT).delete()
    if beyond := events.order_by("-id").values_list("id", flat=True)[MOST_EVENTS : MOST_EVENTS + 1].first():
        events.filter(id__lte=beyond).delete()
