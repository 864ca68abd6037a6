"""Reading a request's body as JSON or as a form, with every malformed one told apart."""

import asyncio
import hashlib
import json
import math
from typing import Any, NoReturn

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParserError

from fmlx_site.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
LARGE_BYTES = 256 * 1024
MOST_DEEP = 100  # levels; a JSON schema of a tool seldom has 20
Body = dict[str, Any]


def read_body(request: HttpRequest) -> Body:
    """The fields of a JSON object or a form; a form's values are strings, or files.

    Raises:
        InvalidRequest: not what its content type says, or not UTF-8.
        BodyTooLarge, UnsupportedMediaType
    """
    _check_encoding(request)
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
    _check_encoding(request)
    if int(request.headers.get("Content-Length") or LARGE_BYTES) < LARGE_BYTES:
        return _sendable(request.body)
    return await asyncio.to_thread(lambda: _sendable(request.body))


def _check_encoding(request: HttpRequest) -> None:
    """A few bytes of a compressed body can become gigabytes, and no client compresses what it asks."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity":
        raise UnsupportedMediaType(f"A body with the encoding {encoding!r} is not read here; send it uncompressed.")


def json_object(raw: bytes) -> Body:
    """Raises InvalidRequest for what is no JSON object, and for what two readers of JSON could take for two things."""
    try:
        value = json.loads(
            raw.decode(), parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_without_twins
        )
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The body is not valid UTF-8 (byte {error.start}).", param="body") from None
    except RecursionError:
        raise TooDeep from None
    except ValueError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}.", param="body") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.", param="body")
    if raw.count(b"[") + raw.count(b"{") > MOST_DEEP and _is_deep(value):
        raise TooDeep
    return value


class TooDeep(InvalidRequest):
    def __init__(self) -> None:
        super().__init__(f"The body is nested deeper than {MOST_DEEP} levels.", param="body")


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_DEEP):
        inside = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [child for children in inside for child in children]
        if not level:
            return False
    return True


def _sendable(raw: bytes) -> Body:
    """Half of a surrogate pair can be written in JSON, and is no character that could be passed on."""
    body = json_object(raw)
    if b"\\ud" in raw.lower():
        try:
            json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise InvalidRequest("The body holds half of a surrogate pair, which is no text.", param="body") from None
    return body


def _without_twins(pairs: list[tuple[str, Any]]) -> Body:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _value in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twin!r} is there more than once")
    return made


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number


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
