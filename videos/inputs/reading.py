"""From what a request says of a picture or a video to a file on disk: sent along, written into the body, or named.

No URL is ever fetched: what it leads to would be this server's business to reach, and somebody else's to choose.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from fmlx_site.errors import BodyTooLarge, InvalidRequest
from inference.models import ApiKey
from videos import options
from videos.inputs import files
from videos.inputs.folders import new_folder
from videos.storage import discard

DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?P<rest>;[^,]*)?,", re.ASCII)
SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE | re.ASCII)
Sent: TypeAlias = "Path | UploadedFile[Any] | str"  # generic for the type checker alone
NESTED = re.compile(r"(\w+)\[(\w+)\]$", re.ASCII)


def folded(body: dict[str, Any]) -> dict[str, Any]:
    """A form's `input_reference[file_id]` as what JSON would have: a field within a field. Raises InvalidRequest."""
    made: dict[str, Any] = {}
    for name, value in body.items():
        match = NESTED.match(name)
        outer = match[1] if match else name
        inside = made.get(outer)
        if outer in made and not (match and isinstance(inside, dict)):
            raise InvalidRequest(f"{outer} was sent more than once.", param=outer)
        if match:
            made.setdefault(outer, {})[match[2]] = value
        else:
            made[outer] = value
    return made


def resolved(value: Any, param: str, key: ApiKey | None) -> Sent:
    """What `opened` takes: the path of an uploaded file, or what came along. Reads the database.

    Raises:
        InvalidRequest, FileNotFound
    """
    value = _plain(value, param)
    if isinstance(value, str) and value.startswith(files.PREFIX):
        return files.path_of(files.mine(key, value, param))
    if isinstance(value, str) and SCHEME.match(value):
        raise InvalidRequest(
            _("%(param)s is a URL, and this server fetches none: send the file, a data URL or the id of an upload.")
            % {"param": param},
            param=param,
        )
    sent: Sent = value
    return sent


@contextmanager
def opened(value: Sent, param: str) -> Iterator[Path]:
    """The file that `value` stands for, for as long as the block lasts.

    Raises:
        InvalidRequest, BodyTooLarge
    """
    if isinstance(value, Path):
        yield value
        return
    folder = new_folder()
    try:
        path = folder / "sent"
        path.touch(mode=0o600)
        with path.open("wb") as target:
            for chunk in _chunks(value, param):
                target.write(chunk)
        yield path
    finally:
        discard(folder)


def _plain(value: Any, param: str) -> Any:
    """A file, or a text: of an object the one field that it may have."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        value = from_json(value, param)
    if isinstance(value, dict):
        if len(value) != 1 or not set(value) <= {"file_id", "image_url"}:
            raise InvalidRequest(f"{param} must have one of file_id and image_url, and nothing else.", param=param)
        [(name, value)] = value.items()
        if not isinstance(value, str) or (name == "file_id") != value.startswith(files.PREFIX):
            kind = "the id of an uploaded file" if name == "file_id" else "a data URL"
            raise InvalidRequest(f"{param}.{name} must be {kind}.{_no_urls(value)}", param=f"{param}.{name}")
    if not isinstance(value, str | UploadedFile) or not value:
        raise InvalidRequest(f"{param} must be a file, a data URL, base64, or the id of an uploaded file.", param=param)
    return value


def from_json(text: str, param: str) -> Any:
    """Of a form's field. Raises InvalidRequest."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{param} begins like JSON and is not.", param=param) from None


def _no_urls(value: Any) -> str:
    return " This server fetches no URLs." if isinstance(value, str) and SCHEME.match(value) else ""


def _chunks(value: "str | UploadedFile[Any]", param: str) -> Iterator[bytes]:
    if isinstance(value, UploadedFile):
        _within(value.size or 0, param)
        yield from value.chunks()
    else:
        yield _decoded(value, param)


def _decoded(text: str, param: str) -> bytes:
    if match := DATA_URL.match(text):
        if not (match["rest"] or "").endswith(";base64"):
            raise InvalidRequest(f"{param} is a data URL that is not base64.", param=param)
        text = text[match.end() :]
    _within(len(text) * 3 // 4, param)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"{param} is neither base64 nor the id of an uploaded file.", param=param) from None


def _within(size: int, param: str) -> None:
    most = options.INPUT_MAX_BYTES.value
    if size > most:
        raise BodyTooLarge(
            _("%(param)s has %(size)d bytes; %(most)d is the most for a file on this server.")
            % {"param": param, "size": size, "most": most},
            param=param,
        )
