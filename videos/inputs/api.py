"""`/v1/files`: OpenAI's Files API for what videos start from. A key sees its own."""

import asyncio
from typing import Annotated, Any, Literal, Self

from asgiref.sync import sync_to_async
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from ninja import Query, Router, Schema

from fmlx_site.errors import InvalidRequest
from inference.api.body import read_body
from inference.api.errors import ErrorResponse
from inference.models import ApiKey
from videos import content
from videos.errors import FileNotFound
from videos.inputs import files, reading, sandbox
from videos.models import InputFile

router = Router(tags=["files"])
ERRORS: dict[int, Any] = {401: ErrorResponse, 404: ErrorResponse}
# OpenAI's purposes of which a picture or a video can be one.
PURPOSES = ("vision", "user_data")
NAME_LENGTH = 255
EXPIRY = (3600, 30 * 86_400)  # seconds, as OpenAI's `expires_after` allows
FIELDS = {"file", "purpose", "expires_after"}
UPLOAD = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "A PNG, JPEG, WebP or MP4, by its content."},
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "expires_after": {
            "type": "object",
            "properties": {"anchor": {"enum": ["created_at"]}, "seconds": {"type": "integer"}},
        },
    },
}


class AuthorizedRequest(HttpRequest):
    auth: ApiKey


class File(Schema):
    """OpenAI's File object, and what this server found in it."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"

    media_type: str
    width: int
    height: int
    frames: int | None
    sha256: str

    @classmethod
    def of(cls, file: InputFile) -> Self:
        same = ("id", "bytes", "purpose", "media_type", "width", "height", "frames", "sha256")
        return cls(
            **{name: getattr(file, name) for name in same},
            created_at=int(file.created_at.timestamp()),
            expires_at=int(file.expires_at.timestamp()),
            filename=file.name,
        )


class FileList(Schema):
    object: Literal["list"] = "list"
    data: list[File]
    first_id: str | None
    last_id: str | None
    has_more: bool


class DeletedFile(Schema):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


@router.post(
    "",
    response={200: File, 400: ErrorResponse, 413: ErrorResponse, 415: ErrorResponse, 507: ErrorResponse, **ERRORS},
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": UPLOAD}}}},
    summary="Upload a picture or a video",
)
async def upload_file(request: AuthorizedRequest) -> File:
    body = reading.folded(await sync_to_async(read_body)(request))
    if unknown := sorted(set(body) - FIELDS):
        raise InvalidRequest(f"{unknown[0]}: is not a parameter of this endpoint.", param=unknown[0])
    sent = body.get("file")
    if not isinstance(sent, UploadedFile):
        raise InvalidRequest("file must be a file of a multipart form.", param="file")
    if body.get("purpose") not in PURPOSES:
        raise InvalidRequest(f"purpose must be one of: {', '.join(PURPOSES)}.", param="purpose")
    facts = {"name": _name(sent), "purpose": body["purpose"], "keep_seconds": _keep_seconds(body.get("expires_after"))}
    return File.of(await _stored(request.auth, sent, facts))


async def _stored(key: ApiKey, sent: "UploadedFile[Any]", facts: dict[str, Any]) -> InputFile:
    opening = reading.opened(sent, "file")
    path = await asyncio.to_thread(opening.__enter__)
    try:
        found = await asyncio.to_thread(sandbox.look, path, "file")
        return await sync_to_async(files.store)(path, found, key=key, **facts)
    finally:
        await asyncio.to_thread(opening.__exit__, None, None, None)


def _name(sent: "UploadedFile[Any]") -> str:
    return (sent.name or "file").replace("\x00", "")[:NAME_LENGTH]


def _keep_seconds(expires_after: Any) -> float:
    """No longer than the server keeps any file."""
    if expires_after is None:
        return EXPIRY[1] * 1000.0
    if isinstance(expires_after, str):
        expires_after = reading.from_json(expires_after, "expires_after")
    if not isinstance(expires_after, dict) or set(expires_after) != {"anchor", "seconds"}:
        raise InvalidRequest("expires_after must have an anchor and seconds.", param="expires_after")
    if expires_after["anchor"] != "created_at":
        raise InvalidRequest("expires_after.anchor must be created_at.", param="expires_after.anchor")
    seconds = str(expires_after["seconds"])
    if not (seconds.isascii() and seconds.isdigit() and EXPIRY[0] <= int(seconds[:9]) <= EXPIRY[1]):
        raise InvalidRequest(
            f"expires_after.seconds must be from {EXPIRY[0]} to {EXPIRY[1]}.", param="expires_after.seconds"
        )
    return float(seconds)


@router.get("", response={200: FileList, 400: ErrorResponse, 401: ErrorResponse}, summary="List files")
async def list_files(
    request: AuthorizedRequest,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    order: Literal["asc", "desc"] = "desc",
    purpose: str | None = None,
) -> FileList:
    mine = InputFile.objects.filter(key=request.auth)
    mine = mine.filter(purpose=purpose) if purpose else mine
    page = [File.of(file) async for file in (await _page(mine, after, order))[: limit + 1]]
    data = page[:limit]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return FileList(data=data, has_more=len(page) > limit, first_id=first, last_id=last)


async def _page(mine: QuerySet[InputFile], after: str | None, order: str) -> QuerySet[InputFile]:
    signs = ("", "gt") if order == "asc" else ("-", "lt")
    ordered = mine.order_by(f"{signs[0]}created_at", f"{signs[0]}id")
    if after is None:
        return ordered
    cursor = await mine.filter(pk=after).afirst()
    if cursor is None:
        raise InvalidRequest(f"No file with the id {after!r} belongs to this key.", param="after")
    same_moment = Q(**{"created_at": cursor.created_at, f"id__{signs[1]}": cursor.pk})
    return ordered.filter(Q(**{f"created_at__{signs[1]}": cursor.created_at}) | same_moment)


@router.get("/{file_id}", response={200: File, **ERRORS}, summary="Get a file's facts")
async def get_file(request: AuthorizedRequest, file_id: str) -> File:
    return File.of(await sync_to_async(files.mine)(request.auth, file_id, "file_id"))


@router.delete("/{file_id}", response={200: DeletedFile, **ERRORS}, summary="Delete a file")
async def delete_file(request: AuthorizedRequest, file_id: str) -> DeletedFile:
    await sync_to_async(files.delete)(await sync_to_async(files.mine)(request.auth, file_id, "file_id"))
    return DeletedFile(id=file_id)


@router.api_operation(
    ["GET", "HEAD"],
    "/{file_id}/content",
    response={416: None, **ERRORS},
    openapi_extra={"responses": {200: {"description": "The file."}, 206: {"description": "The part asked for."}}},
    summary="Download a file",
)
async def get_file_content(request: AuthorizedRequest, file_id: str) -> HttpResponseBase:
    file = await sync_to_async(files.mine)(request.auth, file_id, "file_id")
    name = f"{file.pk}.{file.media_type.rpartition('/')[2]}"
    try:
        answer = await content.serve(
            request, files.path_of(file), media_type=file.media_type, etag=file.sha256, name=name
        )
    except FileNotFoundError:
        raise FileNotFound(file_id) from None
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
