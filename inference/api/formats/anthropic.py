"""Anthropic's error object, and the headers that its clients send."""

import re
from typing import Any

from django.http import HttpRequest

from fmlx_site.errors import FmlxError, InvalidRequest
from inference.request_log.visit import current_visit

PATHS = ("/v1/messages",)
FIRST_VERSION = "2023-06-01"  # later ones, which SDKs send by their own date, have added to it
VERSION = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def speaks(path: str) -> bool:
    """Whether what is asked at this path is answered in Anthropic's words."""
    return path.startswith(PATHS)


def error_type(status: int) -> str:
    return TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")  # noqa: PLR2004


def error_object(failure: FmlxError) -> dict[str, Any]:
    visit = current_visit()
    error = {"type": error_type(failure.status), "message": failure.message}
    return {"type": "error", "error": error, "request_id": visit.request_id if visit else None}


def check_version(request: HttpRequest) -> None:
    """Without the header there is no doubt either. Raises InvalidRequest."""
    version = request.headers.get("anthropic-version", FIRST_VERSION)
    if not VERSION.fullmatch(version) or version < FIRST_VERSION:
        text = f"anthropic-version: {version!r} is not spoken here; send {FIRST_VERSION} or later."
        raise InvalidRequest(text, param="version")
