"""Setting a job aside and taking it up again. What was computed of it is kept, and it goes on from there."""

from typing import Any

from django.utils import timezone

from memory import parts_of, say
from videos.errors import AlreadyFinished, FenceLost
from videos.jobs import NOT_RUNNING, NOT_WAITING, transition
from videos.models import VideoJob

Status = VideoJob.Status
UNFINISHED = (Status.QUEUED, Status.IN_PROGRESS)


def pause(job: VideoJob) -> VideoJob:
    """Take an unfinished job out of the line until it is resumed; one that is paused stays so.

    Its node sees the fence move and stops the worker, which writes down what it has. On the wire it is `queued` with
    `paused: true`, since OpenAI's API has no state for it.

    Raises:
        AlreadyFinished
    """
    while not job.finished:
        if job.paused:
            return job
        ran = job.status == Status.IN_PROGRESS
        fields: dict[str, Any] = {
            "phase": "paused",
            "eta_seconds": None,
            "node": None,
            "paused": True,
            **_because(say("paused_waits")),
        }
        fields["attempt_count"] = job.attempt_count - ran
        try:
            return transition(
                job.pk, job.fence, Status.QUEUED, what="paused", message=where(job), sources=UNFINISHED, **fields
            )
        except FenceLost:
            job.refresh_from_db()  # it moved under us: look again
    raise AlreadyFinished(f"{job.pk} is {job.status} already, so there is nothing to pause.", param="video_id")


def resume(job: VideoJob) -> VideoJob:
    """Put a paused job back in its place in line; one that is not paused goes on as it does.

    Raises:
        AlreadyFinished
    """
    while not job.finished:
        if not job.paused:
            return job
        fields: dict[str, Any] = {**NOT_RUNNING, **NOT_WAITING, "paused": False, "not_before": timezone.now()}
        try:
            return transition(job.pk, job.fence, Status.QUEUED, what="resumed", sources=(Status.QUEUED,), **fields)
        except FenceLost:
            job.refresh_from_db()
    raise AlreadyFinished(f"{job.pk} is {job.status} already, so there is nothing to resume.", param="video_id")


def where(job: VideoJob) -> str:
    """How far a running job has got, as a sentence; nothing for one that has nothing to keep yet."""
    known = {"denoising": "was_denoising", "decoding": "was_decoding"}
    if job.status != Status.IN_PROGRESS or job.phase not in known:
        return ""
    return say(known[job.phase], step=job.step, total=job.total_steps)


def _because(reason: str) -> dict[str, Any]:
    return {"waiting_reason": reason, "waiting_said": parts_of(reason)}
