"""Every change of a download. What changes hands or ends carries the fence it grew out of, so that a process that was
told to stop, or a node that was thought dead, can neither report nor finish.
"""

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from inference.downloads.models import Download
from memory import parts_of

State = Download.State
SOURCES: dict[str, tuple[str, ...]] = {
    State.RUNNING: (State.QUEUED,),
    State.COMPLETED: (State.RUNNING,),
    State.FAILED: (State.RUNNING,),
    State.CANCELLED: (State.QUEUED, State.RUNNING),
    State.QUEUED: (State.RUNNING, State.COMPLETED, State.FAILED, State.CANCELLED),
}
ACTIVE = (State.QUEUED, State.RUNNING)
KEPT = (*ACTIVE, State.FAILED)  # states in which what has come so far stays on the disk
NO_ERROR = {"error_code": "", "error_message": "", "error_said": []}
AT_MOST = 10  # are looked at to find one that no other node takes at the same moment


def transition(row: Download, to: str, **fields: object) -> bool:
    """The one place where a download changes hands or ends. False if it is not under this fence any more."""
    held = Download.objects.filter(pk=row.pk, fence=row.fence, state__in=SOURCES[to])
    changed = held.update(state=to, fence=F("fence") + 1, bytes_per_second=0, **fields)
    if changed:
        row.refresh_from_db()
    return bool(changed)


def claim(node_id: int) -> Download | None:
    """The next one for a node, if it has none."""
    waiting = Download.objects.filter(Q(node=None) | Q(node=node_id), state=State.QUEUED)
    for row in waiting.order_by("created_at", "pk")[:AT_MOST]:
        try:
            with transaction.atomic():
                if transition(row, State.RUNNING, node_id=node_id, started_at=row.started_at or timezone.now()):
                    return row
        except IntegrityError:  # it runs another
            return None
    return None


def recover(node_id: int) -> None:
    """What a node had in hand, and has no more, goes on: on this node, whose disk has what came so far."""
    for row in Download.objects.filter(node=node_id, state=State.RUNNING):
        transition(row, State.QUEUED)


def is_held(row: Download) -> bool:
    return Download.objects.filter(pk=row.pk, fence=row.fence, state=State.RUNNING).exists()


def found(row: Download, commit: str, total: int) -> bool:
    """What there is to fetch; how much of it has come is reported next."""
    return _write(row, commit=commit, bytes_total=total, bytes_done=0)


def report(row: Download, done: int, bytes_per_second: float) -> bool:
    """False when it is not this node's any more: let go of it."""
    return _write(row, bytes_done=done, bytes_per_second=bytes_per_second)


def _write(row: Download, **fields: object) -> bool:
    return bool(Download.objects.filter(pk=row.pk, fence=row.fence, state=State.RUNNING).update(**fields))


def finish(row: Download) -> bool:
    return transition(row, State.COMPLETED, bytes_done=F("bytes_total"), completed_at=timezone.now(), **NO_ERROR)


def fail(row: Download, code: str, message: str) -> bool:
    error = {"error_code": code, "error_message": message, "error_said": parts_of(message)}
    return transition(row, State.FAILED, completed_at=timezone.now(), **error)


def cancel(row: Download) -> bool:
    """Its node sees the fence move, stops its process and removes what came."""
    return transition(row, State.CANCELLED, completed_at=timezone.now())


def requeue(row: Download, **who: int | None) -> bool:
    """In line again as if it were new; what came before is used if the revision is still the same commit."""
    fresh = {"node": None, "commit": "", "bytes_done": 0, "bytes_total": 0, "started_at": None, "completed_at": None}
    return transition(row, State.QUEUED, created_at=timezone.now(), **fresh, **NO_ERROR, **who)
