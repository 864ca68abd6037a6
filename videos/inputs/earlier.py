"""An earlier video as the beginning of a new one: made again with another prompt, made anew, or continued."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from fmlx_site.errors import InvalidRequest
from inference.models import ApiKey
from videos import storage
from videos.errors import ArtifactExpired, NotReady, VideoNotFound
from videos.inputs import files, reading, sandbox
from videos.models import Artifact, VideoJob


@dataclass(frozen=True, slots=True)
class Clip:
    """The file of an earlier video, and what is known of it. `job` is none for one that did not come from here."""

    sent: reading.Sent
    width: int
    height: int
    frames: int
    fps: float
    job: VideoJob | None = None


def finished(video_id: str, key: ApiKey | None, param: str) -> VideoJob:
    """Raises VideoNotFound, or NotReady for one that is not completed."""
    seen = VideoJob.objects.all() if key is None else VideoJob.objects.filter(key=key)
    job = seen.filter(pk=video_id).first()
    if job is None:
        raise VideoNotFound(video_id, param)
    if job.status != VideoJob.Status.COMPLETED:
        raise NotReady(
            _("%(id)s is %(status)s; it can be used when it is completed.") % {"id": job.pk, "status": job.status},
            param=param,
        )
    return job


def of_job(job: VideoJob, param: str) -> Clip:
    """Raises ArtifactExpired when its file was removed."""
    artifact = Artifact.objects.filter(job=job, variant=Artifact.Variant.VIDEO, purged_at=None).first()
    if artifact is None or not storage.path_of(artifact).is_file():
        raise ArtifactExpired(_("The file of %(id)s was removed when its time was over.") % {"id": job.pk}, param=param)
    return Clip(storage.path_of(artifact), job.width, job.height, job.total_frames, job.fps, job)


def of_file(path: Path, sent: reading.Sent, param: str) -> Clip:
    """Looks at the file, so not for the event loop. Raises InputRefused, or InvalidRequest for a picture."""
    found: dict[str, Any] = sandbox.look(path, param)
    if not found.get("frames") or not found["fps"]:
        raise InvalidRequest(_("%(param)s is a picture, where a video is needed.") % {"param": param}, param=param)
    return Clip(sent, found["width"], found["height"], found["frames"], found["fps"])


def named(video: Any, key: ApiKey | None, param: str) -> "Clip | reading.Sent":
    """What `{"id": …}` names: a video of this server or an uploaded file; or what came along. Reads the database."""
    if isinstance(video, str) and video.lstrip().startswith("{"):
        video = reading.from_json(video, param)
    if isinstance(video, dict):
        if set(video) != {"id"} or not isinstance(video["id"], str):
            raise InvalidRequest(_("%(param)s must have an id, and nothing else.") % {"param": param}, param=param)
        if not video["id"].startswith(files.PREFIX):
            return of_job(finished(video["id"], key, f"{param}.id"), param)
        return files.path_of(files.mine(key, video["id"], f"{param}.id"))
    return reading.resolved(video, param, key)
