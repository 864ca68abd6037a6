"""How long finished videos are kept: by age, by number and by bytes. Announced first, purged after."""

import asyncio
from datetime import timedelta

import structlog
from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from videos import jobs, live, options, steps, storage
from videos.inputs import files, folders
from videos.models import Artifact, VideoJob

log = structlog.get_logger(__name__)
LOOK_SECONDS = 30.0
NOTICE = timedelta(hours=1)  # between announcing an early expiry and purging


async def keep_house() -> None:
    """Announce, purge, and tell who waits why; until cancelled."""
    while True:
        try:
            changed = await sync_to_async(enforce)()
            changed += await sync_to_async(jobs.explain_missing_models)()
        except (DatabaseError, InterfaceError):
            log.exception("Retention could not be enforced; trying again.")
        else:
            for job in changed:
                await live.job_changed(job)
        await asyncio.sleep(LOOK_SECONDS)


def enforce() -> list[VideoJob]:
    """One round; returns the jobs whose expiry was brought forward."""
    for job in _kept().filter(expires_at__lte=timezone.now()):
        purge(job)
    steps.keep_house()
    files.keep_house()
    folders.remove_strays()
    return _bring_forward(_beyond_the_limits())


def _kept() -> QuerySet[VideoJob]:
    """Finished jobs whose files are still here, oldest first."""
    here = Artifact.objects.filter(purged_at=None).values("job")
    return VideoJob.objects.filter(pk__in=here, expires_at__isnull=False).order_by("completed_at")


def _beyond_the_limits() -> list[VideoJob]:
    """The oldest jobs, as many as have to go for the rest to be within number and bytes."""
    sizes = list(_kept().annotate(bytes=Sum("artifacts__bytes")).values_list("pk", "bytes"))
    count, total = len(sizes), sum(size for _, size in sizes)
    going = []
    for pk, size in sizes:
        if count <= options.KEEP_COUNT.value and total <= options.KEEP_BYTES.value:
            break
        going.append(pk)
        count, total = count - 1, total - size
    return list(VideoJob.objects.filter(pk__in=going))


def _bring_forward(going: list[VideoJob]) -> list[VideoJob]:
    soon = timezone.now() + NOTICE
    early = [job for job in going if job.expires_at and job.expires_at > soon]
    for job in early:
        VideoJob.objects.filter(pk=job.pk).update(expires_at=soon, event_number=job.event_number + 1)
        job.refresh_from_db()
    return early


def purge(job: VideoJob) -> None:
    """Remove a job's files; its rows stay and say when."""
    with transaction.atomic():
        paths = [storage.path_of(artifact) for artifact in job.artifacts.filter(purged_at=None)]
        Artifact.objects.filter(job=job, purged_at=None).update(purged_at=timezone.now())
    for path in paths:
        path.unlink(missing_ok=True)
    steps.let_go([job.pk])
    log.info("Video purged.", job=job.pk, files=len(paths))
