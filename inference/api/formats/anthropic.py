"""Anthropic's error object, and the headers that its clients send."""

from typing import Any

from django.http import HttpRequest

from fmlx_site.errors import FmlxError, InvalidRequest
from inference.request_log.visit import current_visit

PATHS = ("/v1/messages",)
VERSIONS = ("2023-06-01",)
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
    """Without the header the newest is spoken. Raises InvalidRequest."""
    version = request.headers.get("anthropic-version", VERSIONS[-1])
    if version not in VERSIONS:
        known = " or ".join(VERSIONS)
        raise InvalidRequest(f"anthropic-version: {version!r} is not spoken here; send {known}.", param="version")
