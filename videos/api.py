"""`/v1/videos`: OpenAI's Videos API over the durable queue."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from asgiref.sync import sync_to_async
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from ninja import Query, Router

from fmlx_site.errors import InvalidRequest, NotFound
from fmlx_site.live import listening
from inference.api import sse
from inference.api.body import read_body
from inference.api.errors import ErrorResponse
from inference.models import ApiKey
from inference.request_log.visit import current_visit
from videos import content, deletion, jobs, live, pausing, storage, submission
from videos.errors import ArtifactExpired, NoPreview, NotReady, VideoNotFound
from videos.models import Artifact, VideoJob
from videos.schemas import CreateVideo, DeletedVideo, Video, VideoList

router = Router(tags=["videos"])
ERRORS: dict[int, Any] = {401: ErrorResponse, 404: ErrorResponse}
KEEP_ALIVE_SECONDS = 15.0
IDEMPOTENCY_KEY_LENGTH = 255
BODY_SCHEMA = {"schema": CreateVideo.model_json_schema()}
CREATE_BODY = {
    "requestBody": {"required": True, "content": {"application/json": BODY_SCHEMA, "multipart/form-data": BODY_SCHEMA}}
}


class AuthorizedRequest(HttpRequest):
    auth: ApiKey


@router.post(
    "",
    response={200: Video, 400: ErrorResponse, 409: ErrorResponse, 413: ErrorResponse, 415: ErrorResponse}
    | {429: ErrorResponse, 507: ErrorResponse, **ERRORS},
    openapi_extra=CREATE_BODY,
    summary="Make a video",
)
async def create_video(request: AuthorizedRequest) -> Video:
    body = await sync_to_async(read_body)(request)
    idempotency_key = request.headers.get("Idempotency-Key", "")
    if len(idempotency_key) > IDEMPOTENCY_KEY_LENGTH:
        raise InvalidRequest(f"is longer than {IDEMPOTENCY_KEY_LENGTH} characters.", param="Idempotency-Key")
    job = await submission.submit(
        submission.parse(body), body, key=request.auth, user_id=request.auth.owner_id, idempotency_key=idempotency_key
    )
    if visit := current_visit():
        visit.model = job.model
    return await live.resource(job)


@router.get("", response={200: VideoList, 400: ErrorResponse, 401: ErrorResponse}, summary="List videos")
async def list_videos(
    request: AuthorizedRequest,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> VideoList:
    page = [job async for job in (await _page(request.auth, after, order))[: limit + 1]]
    data = await live.resources(page[:limit])
    return VideoList(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=len(page) > limit,
    )


async def _page(key: ApiKey, after: str | None, order: str) -> QuerySet[VideoJob]:
    mine = VideoJob.objects.filter(key=key)
    ordered = mine.order_by("created_at", "id") if order == "asc" else mine.order_by("-created_at", "-id")
    if after is None:
        return ordered
    cursor = await mine.filter(pk=after).afirst()
    if cursor is None:
        raise InvalidRequest(f"No video with the id {after!r} belongs to this key.", param="after")
    beyond = "gt" if order == "asc" else "lt"
    same_moment = Q(**{"created_at": cursor.created_at, f"id__{beyond}": cursor.pk})
    return ordered.filter(Q(**{f"created_at__{beyond}": cursor.created_at}) | same_moment)


@router.get("/{video_id}", response={200: Video, **ERRORS}, summary="Get a video's state")
async def get_video(request: AuthorizedRequest, video_id: str) -> Video:
    return await live.resource(await _mine(request.auth, video_id))


async def _mine(key: ApiKey, video_id: str) -> VideoJob:
    job = await VideoJob.objects.filter(pk=video_id, key=key).afirst()
    if job is None:
        raise VideoNotFound(video_id)
    return job


@router.delete("/{video_id}", response={200: DeletedVideo, **ERRORS}, summary="Delete a video, stopping it if it runs")
async def delete_video(request: AuthorizedRequest, video_id: str) -> DeletedVideo:
    await deletion.delete(await _mine(request.auth, video_id))
    return DeletedVideo(id=video_id)


@router.post("/{video_id}/cancel", response={200: Video, 409: ErrorResponse, **ERRORS}, summary="Cancel a video")
async def cancel_video(request: AuthorizedRequest, video_id: str) -> Video:
    return await _moved(await sync_to_async(jobs.cancel)(await _mine(request.auth, video_id)))


@router.post("/{video_id}/pause", response={200: Video, 409: ErrorResponse, **ERRORS}, summary="Pause a video")
async def pause_video(request: AuthorizedRequest, video_id: str) -> Video:
    """Set it aside until it is resumed. It is `queued` with `paused: true`; what was computed of it is kept."""
    return await _moved(await sync_to_async(pausing.pause)(await _mine(request.auth, video_id)))


@router.post("/{video_id}/resume", response={200: Video, 409: ErrorResponse, **ERRORS}, summary="Resume a paused video")
async def resume_video(request: AuthorizedRequest, video_id: str) -> Video:
    """Put it back in its place in line. It goes on from where it was."""
    return await _moved(await sync_to_async(pausing.resume)(await _mine(request.auth, video_id)))


async def _moved(job: VideoJob) -> Video:
    await live.job_changed(job)
    await live.wake_nodes()
    return await live.resource(job)


@router.api_operation(
    ["GET", "HEAD"],
    "/{video_id}/content",
    response={409: ErrorResponse, 416: None, **ERRORS},
    openapi_extra={"responses": {200: {"description": "The file."}, 206: {"description": "The part asked for."}}},
    summary="Download a video, its thumbnail or its spritesheet",
)
async def get_content(
    request: AuthorizedRequest, video_id: str, variant: Literal["video", "thumbnail", "spritesheet"] = "video"
) -> HttpResponseBase:
    return await serve_variant(request, await _mine(request.auth, video_id), variant)


async def serve_variant(request: HttpRequest, job: VideoJob, variant: str) -> HttpResponseBase:
    """Raises NotReady, ArtifactExpired or NotFound."""
    if job.status != VideoJob.Status.COMPLETED:
        raise NotReady(f"{job.pk} is {job.status}; its content is there when it is completed.", param="video_id")
    artifact = await Artifact.objects.filter(job=job, variant=variant).afirst()
    if artifact is None:
        raise NotFound(f"{job.pk} has no {variant}.", param="variant")
    if artifact.purged_at:
        raise ArtifactExpired(f"The {variant} of {job.pk} was removed on {artifact.purged_at:%Y-%m-%d %H:%M} UTC.")
    path = storage.path_of(artifact)
    name = f"{job.pk}{path.suffix}"
    try:
        return await content.serve(request, path, media_type=artifact.media_type, etag=artifact.sha256, name=name)
    except FileNotFoundError:
        raise ArtifactExpired(f"The {variant} of {job.pk} is not on this server's disk any more.") from None


@router.api_operation(
    ["GET", "HEAD"],
    "/{video_id}/preview",
    response=ERRORS,
    openapi_extra={"responses": {200: {"description": "An animated WebP.", "content": {"image/webp": {}}}}},
    summary="See a video as it forms",
)
async def get_preview(request: AuthorizedRequest, video_id: str) -> HttpResponseBase:
    """A small moving picture of a video that is being denoised, renewed at most once a second: `preview_number` of the
    video tells of each. There is none before the first step, after the end, and of the first video of a model."""
    return await serve_preview(request, await _mine(request.auth, video_id))


async def serve_preview(request: HttpRequest, job: VideoJob) -> HttpResponseBase:
    """Raises NoPreview."""
    path = await sync_to_async(storage.preview_of)(job)
    name = f"{job.fence}-{job.preview_number}"
    try:
        if path:
            return await content.serve(request, path, media_type="image/webp", etag=name, name=f"{job.pk}.webp")
    except FileNotFoundError:
        pass  # it ended since
    raise NoPreview(f"{job.pk} is {job.status} and has no preview now.", param="video_id")


@router.get(
    "/{video_id}/events",
    response=ERRORS,
    openapi_extra={"responses": {200: {"description": "Server-sent events, each the whole video."}}},
    summary="Follow a video until it ends",
)
async def follow_video(request: AuthorizedRequest, video_id: str) -> HttpResponseBase:
    return sse.streamed(_events(await _mine(request.auth, video_id)))


async def _events(job: VideoJob) -> AsyncIterator[bytes]:
    """A snapshot from the database, then each change; the database is asked again after a silence."""
    async with listening(live.group_of(job.pk)) as changes:
        last = -1
        while True:
            fresh = await VideoJob.objects.filter(pk=job.pk).afirst()
            if fresh is None:
                yield sse.event("video.deleted", last + 1, {"id": job.pk})
                return
            if fresh.event_number > last:
                last = fresh.event_number
                video = (await live.resource(fresh)).model_dump(mode="json")
                yield sse.event("video.finished" if fresh.finished else "video.progress", last, video)
            if fresh.finished:
                return
            if await changes.next(KEEP_ALIVE_SECONDS) is None:
                yield sse.KEEP_ALIVE
