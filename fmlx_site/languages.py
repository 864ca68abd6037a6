"""The language of who is at the other end of a websocket, as Django's middleware finds it for a page."""

from types import SimpleNamespace
from typing import Any, cast

from django.http import HttpRequest
from django.utils.translation import get_language_from_request


def language_of(scope: Any) -> str:
    """From the cookie of the language form, then from what the browser asks for."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    meta = {"HTTP_ACCEPT_LANGUAGE": headers.get("accept-language", "")}
    request = SimpleNamespace(COOKIES=scope.get("cookies", {}), META=meta)
    return get_language_from_request(cast("HttpRequest", request))
