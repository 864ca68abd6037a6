"""Writing down how an attempt ended: keep the files and complete the job, try it again, or fail it."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from memory import Exit, join, parts_of, say
from videos import jobs, options, pausing, steps, storage, upscaling
from videos.errors import FenceLost
from videos.models import Artifact, Attempt, JobEvent, VideoJob
from videos.outcome import Outcome

MOST_DOUBLINGS = 6  # of the back-off: 5 s become no more than 5 minutes and 20 s


def settle(
    job: VideoJob, attempt: Attempt, work: Path, outcome: Outcome, exit_: Exit | None, *, gave_way: bool
) -> VideoJob:
    """Returns the job as it is now. Raises FenceLost when it was not this attempt's any more.

    `gave_way`: the server was stopped in good order, which costs the job none of its attempts.
    """
    if outcome.completed:
        return _complete(job, attempt, work, outcome, exit_)
    _write_down(attempt, outcome, exit_)
    if outcome.code == "artifact_missing":
        steps.forget(job.pk)
    return try_again_or_fail(job, outcome.code, outcome.message, gave_way=gave_way, transient=outcome.transient)


def _write_down(attempt: Attempt, outcome: Outcome, exit_: Exit | None) -> None:
    """Who took the job over has ended the attempt already, and that stands."""
    now = timezone.now()
    Attempt.objects.filter(pk=attempt.pk, ended_at=None).update(
        ended_at=now,
        wall_seconds=(now - attempt.started_at).total_seconds(),
        outcome=outcome.code,
        message=outcome.message,
        said=parts_of(outcome.message),
        detail=outcome.detail,
        manifest=outcome.manifest,
        exit_status=(-exit_.signal if exit_.signal else exit_.status) if exit_ else None,
        peak_bytes=exit_.peak_bytes if exit_ else None,
    )


def _complete(job: VideoJob, attempt: Attempt, work: Path, outcome: Outcome, exit_: Exit | None) -> VideoJob:
    kept = storage.keep(job, work, outcome.manifest["files"])
    try:
        return _finish(job, attempt, kept, outcome, exit_)
    except FenceLost:
        storage.unkeep(kept)
        _write_down(attempt, Outcome("changed_hands"), exit_)
        raise


def _finish(job: VideoJob, attempt: Attempt, kept: list[Artifact], outcome: Outcome, exit_: Exit | None) -> VideoJob:
    manifest = outcome.manifest
    expires_at = timezone.now() + timedelta(seconds=options.KEEP_SECONDS.value)
    with transaction.atomic():
        finished = jobs.finish(
            job.pk,
            job.fence,
            expires_at=expires_at,
            pipeline=manifest["pipeline"],
            guidance_scale=manifest["guidance_scale"],
            guidance_scale_2=manifest["guidance_scale_2"],
            flow_shift=manifest["flow_shift"],
            wall_seconds=(timezone.now() - attempt.started_at).total_seconds(),
            peak_memory_bytes=max(manifest["peak_memory_bytes"], (exit_ and exit_.peak_bytes) or 0),
            **upscaling.fields(outcome.larger),
        )
        if outcome.larger and not outcome.larger.completed:
            text = join(say("raw_is_kept"), outcome.larger.message)
            JobEvent.objects.create(job=job, what="not_upscaled", message=text, said=parts_of(text))
        Artifact.objects.bulk_create(kept)
        _write_down(attempt, outcome, exit_)
    return finished


def try_again_or_fail(job: VideoJob, code: str, message: str, *, gave_way: bool, transient: bool) -> VideoJob:
    _close_attempt(job, code, message)
    if gave_way:
        text = join(message, _reached(job))
        return jobs.retry(job.pk, job.fence, code, text, after=0, attempt_count=job.attempt_count - 1)
    if not transient:
        return jobs.fail(job.pk, job.fence, code, message)
    if job.attempt_count >= options.ATTEMPTS.value:
        return jobs.fail(job.pk, job.fence, code, join(message, say("last_attempt", number=job.attempt_count)))
    doublings = min(job.attempt_count - 1, MOST_DOUBLINGS)
    back_off = options.BACKOFF_SECONDS.value * 2**doublings
    return jobs.retry(job.pk, job.fence, code, join(message, _reached(job), say("tried_again")), after=back_off)


def _reached(job: VideoJob) -> str:
    fresh = VideoJob.objects.filter(pk=job.pk, fence=job.fence).first()
    return pausing.where(fresh) if fresh else ""


def _close_attempt(job: VideoJob, code: str, message: str) -> None:
    """The attempt of a node that was killed was never ended by it."""
    Attempt.objects.filter(job=job, fence=job.fence, ended_at=None).update(
        ended_at=timezone.now(), outcome=code, message=message, said=parts_of(message)
    )


def merged(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The manifests of two steps that ran one after the other, as one process would have written it."""
    both = {**before, **after}
    if before:
        for name in ("phase_seconds", "steps_made"):
            both[name] = {**before[name], **after[name]}
        both["wall_seconds"] = round(before["wall_seconds"] + after["wall_seconds"], 4)
        both["checkpoints"] = before["checkpoints"] or after["checkpoints"]
        for name in ("mlx_peak_bytes", "peak_memory_bytes"):
            both[name] = max(before[name], after[name])
    return both
