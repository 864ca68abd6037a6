"""Taking a job away: the row first, so that nobody can hold it, then its files."""

from asgiref.sync import sync_to_async

from videos import live, steps, storage
from videos.models import VideoJob


async def delete(job: VideoJob) -> None:
    """In any state. A node that runs it finds the row gone, stops the worker and removes what it wrote since."""
    job_id, key_id = job.pk, job.key_id
    keys = await sync_to_async(steps.keys_of)(job_id)
    await VideoJob.objects.filter(pk=job_id).adelete()
    await live.wake_nodes()
    await sync_to_async(steps.tidy)(keys)
    await sync_to_async(storage.remove_job, thread_sensitive=False)(job_id)
    await live.job_deleted(job_id, key_id)
