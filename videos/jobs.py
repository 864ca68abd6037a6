"""The rows that are the queue: how a job is accepted, changes hands, reports and ends.

Plain functions on the database; `videos/live.py` tells the listeners. Every write to a job that was
handed out carries its fence, so a zombie cannot touch a job that was given away.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone
from django.utils.translation import gettext as _

from fmlx_site.errors import TooMany
from inference.models import ModelFolder
from memory import parts_of, say
from videos.endings import tell_of
from videos.errors import AlreadyFinished, FenceLost, IdempotencyConflict
from videos.models import JobEvent, VideoBatch, VideoJob

Status = VideoJob.Status
SOURCES: dict[str, tuple[str, ...]] = {
    Status.IN_PROGRESS: (Status.QUEUED,),
    Status.COMPLETED: (Status.IN_PROGRESS,),
    Status.FAILED: (Status.QUEUED, Status.IN_PROGRESS),
    Status.QUEUED: (Status.IN_PROGRESS, Status.FAILED),
}
NOT_WAITING: dict[str, Any] = {"waiting_reason": "", "waiting_said": []}
NOT_RUNNING: dict[str, Any] = {"phase": "", "step": 0, "total_steps": 0, "eta_seconds": None, "preview_number": 0}


@dataclass(frozen=True, slots=True)
class Accepted:
    job: VideoJob
    new: bool


def submit(
    new: Sequence[VideoJob],
    max_queued: int,
    batch: VideoBatch | None = None,
    attach: Callable[[VideoJob], None] = lambda _job: None,
) -> Accepted:
    """Save new jobs, all or none, or find what an earlier POST with the same idempotency key made; it is the first's.
    `attach` saves what belongs to each, in the same transaction.

    Raises:
        TooMany: the queue is full.
        IdempotencyConflict: the key was used for another request.
    """
    job = new[0]
    if first := _earlier(job):
        return Accepted(first, new=False)
    _check_queue(len(new), max_queued)
    try:
        with transaction.atomic():
            if batch is not None:
                batch.save(force_insert=True)
            for one in new:
                one.batch = batch
            VideoJob.objects.bulk_create(new)
            for one in new:
                attach(one)
            JobEvent.objects.bulk_create(JobEvent(job=one, what="accepted") for one in new)
    except IntegrityError:  # the same key, posted twice at the same moment
        if first := _earlier(job):
            return Accepted(first, new=False)
        raise
    return Accepted(job, new=True)


def _check_queue(coming: int, max_queued: int) -> None:
    waiting = VideoJob.objects.filter(status=Status.QUEUED)[:max_queued].count()
    if waiting >= max_queued:
        raise TooMany(
            _("%(count)d videos are waiting already, which is this server's limit.") % {"count": max_queued},
            retry_after=60,
        )
    if waiting + coming > max_queued:
        text = _("%(coming)d more would be too many: %(count)d videos are waiting, and %(most)d is the limit.")
        raise TooMany(text % {"coming": coming, "count": waiting, "most": max_queued}, retry_after=60)


def _earlier(job: VideoJob) -> VideoJob | None:
    if not job.idempotency_key:
        return None
    first = VideoJob.objects.filter(key=job.key_id, idempotency_key=job.idempotency_key).first()
    if first and first.request_digest != job.request_digest:
        raise IdempotencyConflict(
            f"The Idempotency-Key {job.idempotency_key!r} was used for another request, which made {first.id}.",
            param="Idempotency-Key",
        )
    return first


def transition(
    job_id: str,
    fence: int,
    to: str,
    *,
    what: str,
    message: str = "",
    sources: Collection[str] = (),
    **fields: Any,
) -> VideoJob:
    """The one place where a job changes hands or ends: checks the fence and the transition, writes the history.

    `message` is a `memory.say` where pages are to show it in the reader's language. `sources` are the states it may be
    in, where they are others than those that usually lead to `to`.

    Raises:
        FenceLost: the job is not in a state that leads to `to`, or not under this fence.
    """
    with transaction.atomic():
        held = VideoJob.objects.filter(pk=job_id, fence=fence, status__in=sources or SOURCES[to])
        changed = held.update(status=to, fence=fence + 1, event_number=F("event_number") + 1, **fields)
        if not changed:
            raise FenceLost(job_id)
        JobEvent.objects.create(job_id=job_id, what=what, message=message, said=parts_of(message))
        job = VideoJob.objects.get(pk=job_id)
        tell_of(job)
        return job


def report(job_id: str, fence: int, **fields: Any) -> VideoJob:
    """Write progress of a job that is in hand. Raises FenceLost when it is not any more."""
    with transaction.atomic():
        held = VideoJob.objects.filter(pk=job_id, fence=fence, status=Status.IN_PROGRESS)
        if not held.update(event_number=F("event_number") + 1, **fields):
            raise FenceLost(job_id)
        return VideoJob.objects.get(pk=job_id)


def claim(job: VideoJob, node_id: int) -> VideoJob | None:
    """Take a queued job for a node; None if somebody else was faster."""
    with transaction.atomic():
        # On PostgreSQL a row another node is claiming is passed over; SQLite has one writer at a time.
        if not VideoJob.objects.select_for_update(skip_locked=True).filter(pk=job.pk).values_list("pk").first():
            return None
        now = timezone.now()
        try:
            return transition(
                job.pk,
                job.fence,
                Status.IN_PROGRESS,
                what="started",
                message=say("attempt", number=job.attempt_count + 1),
                node_id=node_id,
                attempt_count=job.attempt_count + 1,
                started_at=job.started_at or now,
                phase="loading",
                progress=0,
                **NOT_WAITING,
            )
        except FenceLost:
            return None


def in_line() -> QuerySet[VideoJob]:
    """Queued and not paused."""
    return VideoJob.objects.filter(status=Status.QUEUED, paused=False)


def candidates(node_id: int, limit: int) -> QuerySet[VideoJob]:
    """Queued jobs a node could run now, first in line first."""
    names = Q(model__in=_models_of(node_id))
    due = in_line().filter(names, not_before__lte=timezone.now(), prompt_wanted=False)
    return due.order_by("-priority", "created_at", "id")[:limit]


def _models_of(node_id: int) -> list[str]:
    return list(ModelFolder.objects.filter(node_id=node_id, type=ModelFolder.Type.VIDEO).values_list("name", flat=True))


def explain_missing_models() -> list[VideoJob]:
    """Jobs whose model no node has any more wait with the reason on their row. Returns those it was new for."""
    served = ModelFolder.objects.filter(type=ModelFolder.Type.VIDEO).values("name")
    reason = say("no_such_model")
    orphans = in_line().exclude(model__in=served).exclude(waiting_reason=reason)
    return [job for orphan in orphans[:100] for job in say_why(orphan, reason)]


def say_why(job: VideoJob, reason: str) -> list[VideoJob]:
    """Keep on the row why a queued job waits; returns the job if that changed it."""
    if job.waiting_reason == reason:
        return []
    VideoJob.objects.filter(pk=job.pk, fence=job.fence).update(
        waiting_reason=reason, waiting_said=parts_of(reason), event_number=F("event_number") + 1
    )
    return list(VideoJob.objects.filter(pk=job.pk))


def held_by(node_id: int) -> QuerySet[VideoJob]:
    return VideoJob.objects.filter(status=Status.IN_PROGRESS, node_id=node_id)


def held_by_the_dead(silent_since: datetime, *, asking: int) -> QuerySet[VideoJob]:
    """Jobs in the hands of nodes that have not been heard of, or that are gone from the database.

    The node that asks is alive, however old its heartbeat is: the machine may have been asleep.
    """
    silent = Q(node__isnull=True) | (Q(node__heartbeat_at__lt=silent_since) & ~Q(node=asking))
    return VideoJob.objects.filter(silent, status=Status.IN_PROGRESS)


def finish(job_id: str, fence: int, *, expires_at: datetime, **fields: Any) -> VideoJob:
    now = timezone.now()
    return transition(
        job_id,
        fence,
        Status.COMPLETED,
        what="completed",
        completed_at=now,
        expires_at=expires_at,
        progress=100,
        phase="completed",
        eta_seconds=None,
        preview_number=0,
        **fields,
    )


def fail(job_id: str, fence: int, code: str, message: str) -> VideoJob:
    return transition(
        job_id,
        fence,
        Status.FAILED,
        what=code,
        message=message,
        error_code=code,
        error_message=message,
        error_said=parts_of(message),
        completed_at=timezone.now(),
        paused=False,
        **NOT_WAITING,
        **{**NOT_RUNNING, "phase": "failed"},
    )


def retry(job_id: str, fence: int, what: str, message: str, *, after: float, **fields: Any) -> VideoJob:
    """Put a job whose attempt was lost back in line; `after` seconds of back-off."""
    not_before = timezone.now() + timedelta(seconds=after)
    return transition(
        job_id,
        fence,
        Status.QUEUED,
        what=what,
        message=message,
        node=None,
        not_before=not_before,
        **NOT_RUNNING,
        **fields,
    )


def cancel(job: VideoJob) -> VideoJob:
    """End a job that has not ended. Its node sees the fence move and stops the worker.

    Raises:
        AlreadyFinished: it completed or failed before.
    """
    while not job.finished:
        try:
            return fail(job.pk, job.fence, "cancelled", say("cancelled"))
        except FenceLost:
            job.refresh_from_db()  # it moved under us: look again
    raise AlreadyFinished(f"{job.pk} is {job.status} already; delete it instead.", param="video_id")


def requeue(job: VideoJob) -> VideoJob:
    """Give a failed job all its attempts again. Raises FenceLost when it is not failed any more."""
    return transition(
        job.pk,
        job.fence,
        Status.QUEUED,
        what="requeued",
        node=None,
        not_before=timezone.now(),
        attempt_count=0,
        overtaken=0,
        progress=0,
        error_code="",
        error_message="",
        error_said=[],
        completed_at=None,
        **NOT_RUNNING,
    )


def queue_positions(of: Iterable[str] | None = None) -> dict[str, int]:
    """Every waiting job's place in line, from 1; or that of those that are asked for. One query."""
    place = Window(RowNumber(), order_by=("-priority", "created_at", "id"))
    line = in_line().annotate(place=place)
    if of is not None:
        # The "or" never holds. It has the database number the whole line first and choose from it then.
        line = line.filter(Q(pk__in=list(of)) | Q(place__lt=1))
    return dict(line.values_list("pk", "place"))


def queue_position(job: VideoJob) -> int | None:
    """1 for the job that is next in line; None when it does not wait."""
    if job.status != Status.QUEUED or job.paused:
        return None
    earlier = Q(created_at__lt=job.created_at) | Q(created_at=job.created_at, id__lt=job.id)
    ahead = Q(priority__gt=job.priority) | (Q(priority=job.priority) & earlier)
    return in_line().filter(ahead).count() + 1
