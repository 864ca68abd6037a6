"""Telling pages and streams about jobs. Each event is the whole job, so a lost one is made good by the next."""

from collections.abc import Sequence

from asgiref.sync import sync_to_async

from fmlx_site.live import announce
from videos import jobs
from videos.models import VideoJob
from videos.schemas import Video

ALL = "videos"
NODES = "nodes"


def group_of(job_id: str) -> str:
    return f"videos.{job_id}"


async def resource(job: VideoJob) -> Video:
    return Video.of(job, await sync_to_async(jobs.queue_position)(job) if job.status == "queued" else None)


async def resources(rows: Sequence[VideoJob]) -> list[Video]:
    """Several, with one query for the places of those that wait."""
    waiting = [job.pk for job in rows if job.status == VideoJob.Status.QUEUED]
    places = await sync_to_async(jobs.queue_positions)(waiting) if waiting else {}
    return [Video.of(job, places.get(job.pk)) for job in rows]


async def job_changed(job: VideoJob) -> None:
    video = (await resource(job)).model_dump(mode="json")
    for group in (group_of(job.id), ALL):
        await announce(group, "video.changed", video=video, key=job.key_id, waiting=job.waiting_said)


async def job_deleted(job_id: str, key_id: int | None) -> None:
    for group in (group_of(job_id), ALL):
        await announce(group, "video.deleted", video={"id": job_id}, key=key_id)


async def wake_nodes() -> None:
    """There is work, or a running job changed hands: look now rather than at the next tick."""
    await announce(NODES, "wake")
