"""Who is asking: `Authorization: Bearer` or `X-API-Key`."""

from django.http import HttpRequest
from ninja.security import APIKeyHeader, HttpBearer

from fmlx_site.errors import Unauthorized
from inference.models import ApiKey, digest


async def key_of(secret: str | None) -> ApiKey:
    """Raises Unauthorized when there is no such key, or it was revoked."""
    if not secret:
        raise Unauthorized("No API key was sent. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.")
    try:
        return await ApiKey.objects.aget(digest=digest(secret), revoked_at=None)
    except ApiKey.DoesNotExist:
        raise Unauthorized("This API key is not known here, or it was revoked.") from None


class BearerKey(HttpBearer):
    async def authenticate(self, request: HttpRequest, token: str) -> ApiKey:
        return await key_of(token)


class HeaderKey(APIKeyHeader):
    """The last one asked, so it also answers for a request without any credential."""

    param_name = "X-API-Key"

    async def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey:
        return await key_of(key)
