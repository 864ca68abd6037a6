"""Who is asking: `Authorization: Bearer` or `X-API-Key`."""

import time
from collections.abc import Awaitable, Callable

from django.http import HttpRequest
from ninja.security import APIKeyHeader, HttpBearer

from fmlx_site.errors import Unauthorized
from inference.models import ApiKey, digest

RECENT_SECONDS = 1.0
MOST_RECENT = 1000
FindKey = Callable[[str | None], Awaitable[ApiKey]]


async def key_of(secret: str | None) -> ApiKey:
    """Raises Unauthorized when there is no such key, or it was revoked."""
    if not secret:
        raise Unauthorized("No API key was sent. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.")
    try:
        return await ApiKey.objects.aget(digest=digest(secret), revoked_at=None)
    except ApiKey.DoesNotExist:
        raise Unauthorized("This API key is not known here, or it was revoked.") from None


class RecentKeys:
    """The keys that were good within the last second: a burst of prompts asks the database once for each."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[ApiKey, float]] = {}

    async def key_of(self, secret: str | None) -> ApiKey:
        """Raises Unauthorized. A key that is revoked may be good here for a second more."""
        now = time.monotonic()
        known = self._found.get(digest(secret)) if secret else None
        if known and now - known[1] < RECENT_SECONDS:
            return known[0]
        key = await key_of(secret)
        if len(self._found) >= MOST_RECENT:
            self._found.clear()
        self._found[key.digest] = key, now
        return key

    def forget(self) -> None:
        self._found.clear()


recent_keys = RecentKeys()


class BearerKey(HttpBearer):
    def __init__(self, find: FindKey = key_of) -> None:
        super().__init__()
        self._find = find

    async def authenticate(self, request: HttpRequest, token: str) -> ApiKey:
        return await self._find(token)


class HeaderKey(APIKeyHeader):
    """The last one asked, so it also answers for a request without any credential."""

    param_name = "X-API-Key"

    def __init__(self, find: FindKey = key_of) -> None:
        super().__init__()
        self._find = find

    async def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey:
        return await self._find(key)


def for_prompts() -> list[BearerKey | HeaderKey]:
    """The `auth` of the routers that answer prompts."""
    return [BearerKey(recent_keys.key_of), HeaderKey(recent_keys.key_of)]


def cache_salt(request: HttpRequest) -> dict[str, str]:
    """For the engine: owners of keys share no cached prompts, so that none can find out another's by timing."""
    key: ApiKey = request.auth  # type: ignore[attr-defined]  # ninja sets it
    return {"cache_salt": f"owner-{key.owner_id}"}
