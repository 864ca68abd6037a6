"""Who is told that a job ended, in the transaction that ended it."""

from videos.models import VideoBatch, VideoJob
from webhooks.telling import tell

Status = VideoJob.Status
ENDINGS = {Status.COMPLETED: "video.completed", Status.FAILED: "video.failed"}  # OpenAI's names, as those of batches


def tell_of(job: VideoJob) -> None:
    if ending := ENDINGS.get(Status(job.status)):
        tell(job.key_id, ending, job.pk, {"id": job.pk})
        tell_of_batch(job.batch_id)


def tell_of_batch(batch_id: str | None) -> None:
    """If nothing of it is left to do. Of two jobs that end at once the second to hold the batch's row sees both."""
    batch = VideoBatch.objects.select_for_update().filter(pk=batch_id).first() if batch_id else None
    if batch and not batch.jobs.exclude(status__in=ENDINGS).exists():
        tell(batch.key_id, "batch.cancelled" if batch.cancelled_at else "batch.completed", batch.pk, {"id": batch.pk})
