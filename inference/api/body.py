"""Reading a request's body as JSON or as a form, with every malformed one told apart."""

import asyncio
import hashlib
import json
from typing import Any, NoReturn

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParserError

from fmlx_site.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
LARGE_BYTES = 256 * 1024
Body = dict[str, Any]


def read_body(request: HttpRequest) -> Body:
    """The fields of a JSON object or a form; a form's values are strings, or files.

    Raises:
        InvalidRequest: not what its content type says, or not UTF-8.
        BodyTooLarge, UnsupportedMediaType
    """
    kind = (request.content_type or "").lower()
    if kind in FORMS:
        return _form(request)
    if kind in ("application/json", ""):
        return json_object(request.body)
    raise UnsupportedMediaType(f"A body of type {kind!r} is not read here; send application/json or {FORMS[0]}.")


async def read_json(request: HttpRequest) -> Body:
    """The fields of a JSON object, read beside the event loop when large. Raises as `read_body`; forms are refused."""
    kind = (request.content_type or "").lower()
    if kind not in ("application/json", ""):
        raise UnsupportedMediaType(f"A body of type {kind!r} is not read here; send application/json.")
    if int(request.headers.get("Content-Length") or LARGE_BYTES) < LARGE_BYTES:
        return _sendable(request.body)
    return await asyncio.to_thread(lambda: _sendable(request.body))


def _sendable(raw: bytes) -> Body:
    """Half of a surrogate pair can be written in JSON, and is no character that could be passed on."""
    body = json_object(raw)
    if b"\\ud" in raw.lower():
        try:
            json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidRequest("The body holds half of a surrogate pair, which is no text.", param="body") from None
    return body


def json_object(raw: bytes) -> Body:
    try:
        value = json.loads(raw.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The body is not valid UTF-8 (byte {error.start}).", param="body") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply.", param="body") from None
    except ValueError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.", param="body") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.", param="body")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _form(request: HttpRequest) -> Body:
    try:
        fields, files = request.POST, request.FILES
    except RequestDataTooBig as error:
        raise BodyTooLarge(str(error), param="body") from None
    except (MultiPartParserError, TooManyFieldsSent, TooManyFilesSent, SuspiciousOperation, UnicodeError) as error:
        raise InvalidRequest(f"The form could not be read: {error}.", param="body") from None
    if request.content_type == FORMS[0] and not fields and not files:
        raise InvalidRequest("The form has no fields; is its boundary right?", param="body")
    return {**_single(fields), **{name: files[name] for name in files}}


def _single(fields: QueryDict) -> Body:
    for name in fields:
        if len(fields.getlist(name)) > 1:
            raise InvalidRequest(f"{name} was sent more than once.", param=name)
        if "\ufffd" in fields[name] or "\ufffd" in name:
            raise InvalidRequest(f"{name} is not valid UTF-8.", param=name)
    return {name: fields[name] for name in fields}


def digest_of(body: Body) -> str:
    """The same for two bodies that ask for the same, whatever the order of their fields."""
    canonical = json.dumps(body, sort_keys=True, default=str, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
