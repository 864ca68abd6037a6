"""`/v1/videos`: OpenAI's Videos API over the durable queue."""

import math
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from asgiref.sync import sync_to_async
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from ninja import Query, Router, Schema

from fmlx_site.errors import InvalidRequest, NotFound
from fmlx_site.live import listening
from inference.api import sse
from inference.api.body import Body, read_body
from inference.api.errors import ErrorResponse
from inference.models import ApiKey
from inference.request_log.visit import current_visit
from videos import content, deletion, deriving, jobs, live, pausing, storage, submission
from videos.errors import ArtifactExpired, NoPreview, NotReady, Unsupported, VideoNotFound
from videos.inputs import reading
from videos.models import Artifact, VideoJob
from videos.schemas import CreateVideo, DeletedVideo, EditVideo, ExtendVideo, Remix, Video, VideoList

router = Router(tags=["videos"])
ERRORS: dict[int, Any] = {401: ErrorResponse, 404: ErrorResponse}
Variant = Literal["video", "raw", "thumbnail", "spritesheet", "input"]
KEEP_ALIVE_SECONDS = 15.0
IDEMPOTENCY_KEY_LENGTH = 255
NO_CHARACTERS = "Characters are not supported by this server; describe who is in the video in the prompt."
MADE: dict[int, Any] = {
    200: Video,
    **dict.fromkeys((400, 401, 404, 409, 413, 415, 429, 503, 507), ErrorResponse),
}


def _body_of(schema: type[Schema]) -> dict[str, Any]:
    within = f"#/components/schemas/{schema.__name__}.{{model}}"  # where the document keeps what is in it
    content = {"schema": schema.model_json_schema(ref_template=within)}
    return {"requestBody": {"required": True, "content": {"application/json": content, "multipart/form-data": content}}}


class AuthorizedRequest(HttpRequest):
    auth: ApiKey


@router.post(
    "",
    response=MADE,
    openapi_extra=_body_of(CreateVideo),
    summary="Make a video",
)
async def create_video(request: AuthorizedRequest) -> Video:
    body = await _body(request)
    return await _accepted(await submission.submit(submission.parse(body), body, **_who(request)))


async def _body(request: HttpRequest) -> Body:
    return reading.folded(await sync_to_async(read_body)(request))


def _who(request: AuthorizedRequest) -> dict[str, Any]:
    idempotency_key = request.headers.get("Idempotency-Key", "")
    if len(idempotency_key) > IDEMPOTENCY_KEY_LENGTH:
        raise InvalidRequest(f"is longer than {IDEMPOTENCY_KEY_LENGTH} characters.", param="Idempotency-Key")
    return {"key": request.auth, "user_id": request.auth.owner_id, "idempotency_key": idempotency_key}


async def _accepted(job: VideoJob) -> Video:
    if visit := current_visit():
        visit.model = job.model
    return await live.resource(job)


@router.post("/edits", response=MADE, openapi_extra=_body_of(EditVideo), summary="Make a video anew, with a prompt")
async def edit_video(request: AuthorizedRequest) -> Video:
    body = await _body(request)
    return await _accepted(await deriving.edit(submission.read_as(EditVideo, body), body, **_who(request)))


@router.post("/extensions", response=MADE, openapi_extra=_body_of(ExtendVideo), summary="Continue a video")
async def extend_video(request: AuthorizedRequest) -> Video:
    body = await _body(request)
    return await _accepted(await deriving.extend(submission.read_as(ExtendVideo, body), body, **_who(request)))


@router.post("/characters", response={400: ErrorResponse, 401: ErrorResponse}, summary="Refused: there are none here")
async def create_character(request: AuthorizedRequest) -> None:
    raise Unsupported(NO_CHARACTERS, param="characters")


@router.get(
    "/characters/{character_id}", response={400: ErrorResponse, 401: ErrorResponse}, summary="Refused, as above"
)
async def get_character(request: AuthorizedRequest, character_id: str) -> None:
    raise Unsupported(NO_CHARACTERS, param="characters")


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
async def get_video(request: AuthorizedRequest, response: HttpResponse, video_id: str) -> Video:
    """`Retry-After` of one that has not ended says when to ask again."""
    video = await live.resource(await _mine(request.auth, video_id))
    if video.status in ("queued", "in_progress"):
        seconds = ask_again_after(video.eta_seconds)
        response["Retry-After"] = str(seconds)
        response["openai-poll-after-ms"] = str(1000 * seconds)  # what OpenAI's own clients read
    return video


def ask_again_after(eta: float | None) -> int:
    """A tenth of what is left, from a second to half a minute; three seconds while nothing is known."""
    return 3 if eta is None else min(30, max(1, math.ceil(eta / 10)))


async def _mine(key: ApiKey, video_id: str) -> VideoJob:
    job = await VideoJob.objects.filter(pk=video_id, key=key).afirst()
    if job is None:
        raise VideoNotFound(video_id)
    return job


@router.delete("/{video_id}", response={200: DeletedVideo, **ERRORS}, summary="Delete a video, stopping it if it runs")
async def delete_video(request: AuthorizedRequest, video_id: str) -> DeletedVideo:
    await deletion.delete(await _mine(request.auth, video_id))
    return DeletedVideo(id=video_id)


@router.post("/{video_id}/remix", response=MADE, openapi_extra=_body_of(Remix), summary="The same with another prompt")
async def remix_video(request: AuthorizedRequest, video_id: str) -> Video:
    body = await _body(request)
    return await _accepted(await deriving.remix(video_id, submission.read_as(Remix, body), body, **_who(request)))


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
async def get_content(request: AuthorizedRequest, video_id: str, variant: Variant = "video") -> HttpResponseBase:
    return await serve_variant(request, await _mine(request.auth, video_id), variant)


def kept_as(job: VideoJob, variant: str) -> str:
    """`video` is the larger file where there is one, and `raw` the one that it was made from."""
    larger = Artifact.Variant.UPSCALED if job.upscaled else Artifact.Variant.VIDEO
    return str({"video": larger, "raw": Artifact.Variant.VIDEO}.get(variant, variant))


async def serve_variant(request: HttpRequest, job: VideoJob, variant: str) -> HttpResponseBase:
    """Raises NotReady, ArtifactExpired or NotFound."""
    if job.status != VideoJob.Status.COMPLETED and variant != Artifact.Variant.INPUT:
        raise NotReady(f"{job.pk} is {job.status}; its content is there when it is completed.", param="video_id")
    artifact = await Artifact.objects.filter(job=job, variant=kept_as(job, variant)).afirst()
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
