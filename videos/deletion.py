"""Taking a job away: the row first, so that nobody can hold it, then its files."""

from asgiref.sync import sync_to_async
from django.db import transaction

from videos import live, steps, storage
from videos.endings import tell_of_batch
from videos.models import VideoJob


async def delete(job: VideoJob) -> None:
    """In any state. A node that runs it finds the row gone, stops the worker and removes what it wrote since."""
    job_id, key_id = job.pk, job.key_id
    keys = await sync_to_async(steps.keys_of)(job_id)
    await sync_to_async(_delete_row)(job)
    await live.wake_nodes()
    await sync_to_async(steps.tidy)(keys)
    await sync_to_async(storage.remove_job, thread_sensitive=False)(job_id)
    await live.job_deleted(job_id, key_id)


def _delete_row(job: VideoJob) -> None:
    """Its batch may have waited for this one alone."""
    with transaction.atomic():
        waited_for = VideoJob.objects.filter(pk=job.pk, completed_at=None).exists()
        VideoJob.objects.filter(pk=job.pk).delete()
        if waited_for:
            tell_of_batch(job.batch_id)
