"""What a browser may do with a page: load and send nothing but what this server gives it."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest

# No inline script or style anywhere, so that no nonce is needed; pictures that are made in the page are data and blobs.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


def _guard(response: Any) -> Any:
    response.headers.setdefault("Content-Security-Policy", POLICY)
    return response


class ContentPolicy:
    """Middleware for both kinds of view."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._waits = iscoroutinefunction(get_response)
        if self._waits:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self._later(request) if self._waits else _guard(self.get_response(request))

    async def _later(self, request: HttpRequest) -> Any:
        return _guard(await self.get_response(request))
