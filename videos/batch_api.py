"""`/v1/videos/batches`: many videos from one JSONL file, in the form of OpenAI's batches."""

from typing import Annotated, Any

from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from fmlx_site.errors import InvalidRequest
from inference.api.body import read_body
from inference.api.errors import ErrorResponse
from inference.models import ApiKey
from videos import batches
from videos.errors import BatchNotFound
from videos.models import VideoBatch
from videos.schemas import Batch, BatchList, RequestCounts

router = Router(tags=["videos"])
ERRORS: dict[int, Any] = {401: ErrorResponse, 404: ErrorResponse}
FORM = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]}
UPLOAD = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}}
JSONL = {"responses": {200: {"description": "A line for each video.", "content": {"application/jsonl": {}}}}}


class AuthorizedRequest(HttpRequest):
    auth: ApiKey


@router.post(
    "",
    response={200: Batch, 400: ErrorResponse, 409: ErrorResponse, 413: ErrorResponse, 415: ErrorResponse}
    | {429: ErrorResponse, 507: ErrorResponse, **ERRORS},
    openapi_extra=UPLOAD,
    summary="Make many videos",
)
async def create_batch(request: AuthorizedRequest) -> Batch:
    """The file has a request on each line: its body, or OpenAI's line of `custom_id`, `method`, `url` and `body`.

    All are accepted or none: what is wrong with one is said with its line's number."""
    body = await sync_to_async(read_body)(request)
    for name in body:
        if name not in ("file", "endpoint", "completion_window"):
            raise InvalidRequest("is not a parameter of this endpoint.", param=name)
    file = body.get("file")
    if not isinstance(file, UploadedFile):
        raise InvalidRequest("must be a JSONL file, in a multipart form.", param="file")
    if body.get("endpoint", batches.ENDPOINT) != batches.ENDPOINT:
        raise InvalidRequest(f"must be {batches.ENDPOINT}.", param="endpoint")
    lines = await sync_to_async(lambda: batches.read_lines(file.read()))()
    return await _shown(await batches.submit(lines, request.auth))


async def _shown(batch: VideoBatch) -> Batch:
    return await sync_to_async(shown)(batch)


def shown(batch: VideoBatch) -> Batch:
    """Synchronous."""
    counts = batches.counts_of(batch)
    cancelled, finished = batch.cancelled_at, counts.finished
    names = ("cancelled", "cancelling") if cancelled else ("completed", "in_progress")
    return Batch(
        id=batch.id,
        status=names[0] if finished else names[1],  # type: ignore[arg-type]
        created_at=int(batch.created_at.timestamp()),
        in_progress_at=int(counts.began.timestamp()) if counts.began else None,
        completed_at=int(counts.ended.timestamp()) if counts.ended and finished and not cancelled else None,
        cancelled_at=int(cancelled.timestamp()) if cancelled else None,
        request_counts=RequestCounts(total=counts.total, completed=counts.completed, failed=counts.failed),
    )


@router.get("", response={200: BatchList, 400: ErrorResponse, **ERRORS}, summary="List batches of videos")
async def list_batches(
    request: AuthorizedRequest, after: str | None = None, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> BatchList:
    rows = VideoBatch.objects.filter(key=request.auth).order_by("-created_at", "-id")
    if after is not None:
        cursor = await _mine(request.auth, after, param="after")
        same = Q(created_at=cursor.created_at, id__lt=cursor.pk)
        rows = rows.filter(Q(created_at__lt=cursor.created_at) | same)
    page = [batch async for batch in rows[: limit + 1]]
    data = [await _shown(batch) for batch in page[:limit]]
    ends = {"first_id": data[0].id if data else None, "last_id": data[-1].id if data else None}
    return BatchList(data=data, has_more=len(page) > limit, **ends)


async def _mine(key: ApiKey, batch_id: str, param: str = "batch_id") -> VideoBatch:
    batch = await VideoBatch.objects.filter(pk=batch_id, key=key).afirst()
    if batch is None:
        raise BatchNotFound(batch_id, param)
    return batch


@router.get("/{batch_id}", response={200: Batch, **ERRORS}, summary="Get a batch's state")
async def get_batch(request: AuthorizedRequest, batch_id: str) -> Batch:
    return await _shown(await _mine(request.auth, batch_id))


@router.get("/{batch_id}/output", response=ERRORS, openapi_extra=JSONL, summary="Get what became of a batch")
async def get_output(request: AuthorizedRequest, batch_id: str) -> HttpResponse:
    """A line of JSON for each video, also while some are not done."""
    text = await batches.output(await _mine(request.auth, batch_id))
    return HttpResponse(text, content_type="application/jsonl; charset=utf-8")


@router.post("/{batch_id}/cancel", response={200: Batch, **ERRORS}, summary="Cancel what is left of a batch")
async def cancel_batch(request: AuthorizedRequest, batch_id: str) -> Batch:
    await batches.cancel(await _mine(request.auth, batch_id))
    return await _shown(await _mine(request.auth, batch_id))
