"""Serving a file with Range, as players expect (RFC 9110 §14). Django's FileResponse ignores Range."""

import asyncio
import os
import re
import weakref
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

CHUNK_BYTES = 256 * 1024
RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


class Unsatisfiable(Exception):
    """The range asked for begins after the end."""


def requested_part(header: str, size: int) -> Part | None:
    """The one range asked for; None for a header that is to be ignored (no bytes range, or several)."""
    match = RANGE.match(header.replace(" ", ""))
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":  # the last so many bytes
        if int(last) == 0:
            raise Unsatisfiable
        return Part(max(0, size - int(last)), size - 1)
    if int(first) >= size:
        raise Unsatisfiable
    if last and int(last) < int(first):
        return None
    return Part(int(first), min(int(last or size - 1), size - 1))


async def serve(request: HttpRequest, path: Path, *, media_type: str, etag: str, name: str) -> HttpResponseBase:
    """The whole file, or the part that was asked for. Raises FileNotFoundError before anything is sent.

    It is opened once: what is replaced or removed meanwhile, as a preview is, is served whole.
    """
    file = await asyncio.to_thread(path.open, "rb")
    response = _answer(request, file, media_type=media_type, etag=etag, name=name)
    if response.streaming:
        weakref.finalize(response, file.close)  # a client may be gone before the first byte
    else:
        file.close()
    return response


def _answer(request: HttpRequest, file: BinaryIO, *, media_type: str, etag: str, name: str) -> HttpResponseBase:
    size = os.fstat(file.fileno()).st_size
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{etag}"',
        "Content-Disposition": f'inline; filename="{name}"',
        "Cache-Control": "private, max-age=0, must-revalidate",
    }
    if request.headers.get("If-None-Match", "").strip() in (f'"{etag}"', "*"):
        return HttpResponse(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    try:
        asked = _asked_for(request, size, etag)
    except Unsatisfiable:
        headers["Content-Range"] = f"bytes */{size}"
        return HttpResponse(status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    part = asked or Part(0, size - 1)
    status = HTTPStatus.PARTIAL_CONTENT if asked else HTTPStatus.OK
    headers["Content-Length"] = str(part.length)
    if asked:
        headers["Content-Range"] = f"bytes {part.first}-{part.last}/{size}"
    if request.method == "HEAD":
        return HttpResponse(status=status, content_type=media_type, headers=headers)
    return StreamingHttpResponse(_read(file, part), status=status, content_type=media_type, headers=headers)


def _asked_for(request: HttpRequest, size: int, etag: str) -> Part | None:
    """None when there is no Range, or it was made for another version of the file (If-Range)."""
    header = request.headers.get("Range")
    if_range = request.headers.get("If-Range")
    if not header or (if_range and if_range != f'"{etag}"'):
        return None
    return requested_part(header, size)


async def _read(file: BinaryIO, part: Part) -> AsyncIterator[bytes]:
    with file:
        file.seek(part.first)
        left = part.length
        while left and (chunk := await asyncio.to_thread(file.read, min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
