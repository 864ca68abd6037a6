from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import Router, Status

from fmlx_site.audit import Origin, Source
from inference.api.auth import needs
from inference.api.body import read_json
from inference.api.docs import ERRORS, body_of
from inference.api.errors import ErrorResponse
from inference.api.formats.translation import read
from inference.api.schemas.downloads import Download, DownloadDeleted, DownloadList, DownloadRequest
from inference.downloads import changes
from inference.downloads.models import Download as Row
from inference.downloads.names import understand
from inference.errors import DownloadNotFound
from inference.models import ApiKey, Scope

router = Router(tags=["models"], auth=needs(Scope.MODELS))
MOST = 100


class AuthorizedRequest(HttpRequest):
    auth: ApiKey


@router.post(
    "",
    response={202: Download, **ERRORS},
    openapi_extra=body_of(DownloadRequest),
    summary="Download a model; who asks for it again gets the same download",
)
async def create_download(request: AuthorizedRequest) -> Status[Download]:
    asked = read(DownloadRequest, await read_json(request), {})
    wanted = understand(asked.repository, asked.revision or "")
    return Status(202, Download.of(await sync_to_async(lambda: changes.ask(wanted, _origin(request)))()))


@router.get("", response={200: DownloadList, **ERRORS}, summary="List downloads, the newest first")
async def list_downloads(request: AuthorizedRequest) -> DownloadList:
    return DownloadList(data=[Download.of(row) async for row in Row.objects.all()[:MOST]])


@router.get("/{int:download_id}", response={200: Download, **ERRORS}, summary="Get a download")
async def get_download(request: AuthorizedRequest, download_id: int) -> Download:
    return Download.of(await _find(download_id))


@router.delete(
    "/{int:download_id}",
    response={200: DownloadDeleted, 405: ErrorResponse, **ERRORS},  # what is no number is the name of a model
    summary="End a download and forget it; a model that it became stays",
)
async def delete_download(request: AuthorizedRequest, download_id: int) -> DownloadDeleted:
    row = await _find(download_id)
    await sync_to_async(lambda: changes.remove(row, _origin(request)))()
    return DownloadDeleted(id=download_id)


async def _find(download_id: int) -> Row:
    if row := await Row.objects.filter(pk=download_id).afirst():
        return row
    raise DownloadNotFound(download_id)


def _origin(request: AuthorizedRequest) -> Origin:
    return Origin(request.auth.owner, Source.API, request.META.get("REMOTE_ADDR", "") or "")
