"""Who is asking, by `Authorization: Bearer` or `X-API-Key`, what for, and whether the key's limits allow it."""

import ipaddress

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from ninja.security import APIKeyHeader, HttpBearer

from fmlx_site.errors import Forbidden, Unauthorized
from inference.keys.ring import ring
from inference.models import ANONYMOUS_DIGEST, ApiKey, Scope
from inference.options import ANONYMOUS
from inference.request_log.visit import current_visit

FREE = ("/cancel", "/pause", "/resume", "/probe", "/count_tokens", "/input_tokens")
FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP")


async def key_of(request: HttpRequest, secret: str | None) -> ApiKey:
    """Raises Unauthorized when there is no such key, it was revoked or has expired, or none was sent."""
    if secret:
        return await ring.key_of(secret)
    if ANONYMOUS.value == "loopback" and is_local(request) and "HTTP_ORIGIN" not in request.META:
        return await _anonymous()
    raise Unauthorized("No API key was sent. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.")


async def admit(request: HttpRequest, secret: str | None, scope: Scope | None) -> ApiKey:
    """Raises Unauthorized, Forbidden or RateLimited."""
    key = await key_of(request, secret)
    if visit := current_visit():
        visit.key = key
    check_scope(key, scope)
    if visit:
        await visit.admit(key, counted=_is_work(request))
    return key


def check_scope(key: ApiKey, scope: Scope | None) -> None:
    if scope is not None and not key.may(scope):
        has = ", ".join(key.scopes) or "none"
        raise Forbidden(f"This API key lacks the scope {str(scope)!r}, which this needs. Its scopes: {has}.")


def is_local(request: HttpRequest) -> bool:
    """From this very machine, under a name of it. A proxy on this machine speaks for others, and says so."""
    if any(name in request.META for name in FORWARDED):
        return False
    try:
        request.get_host()  # a page elsewhere can have its own name lead here
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except (ValueError, DisallowedHost):
        return False


def _is_work(request: HttpRequest) -> bool:
    """What counts against a key's limits: asking for something new, not looking at it or ending it."""
    return request.method == "POST" and not request.path.endswith(FREE)


async def _anonymous() -> ApiKey:
    try:
        return await ring.by_digest(ANONYMOUS_DIGEST)
    except Unauthorized:
        if await ApiKey.objects.filter(digest=ANONYMOUS_DIGEST).aexists():
            raise Unauthorized("Access without an API key was revoked on the Keys page.") from None
    await sync_to_async(_make_anonymous)()
    ring.forget()
    return await ring.by_digest(ANONYMOUS_DIGEST)


def _make_anonymous() -> None:
    """A row like any other, so that its scopes and limits can be set; no secret leads to it."""
    owner = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if owner is None:
        raise Unauthorized("There is no operator yet for whom access without an API key could be counted.")
    scopes = [Scope.CHAT, Scope.EMBEDDINGS, Scope.VIDEOS]
    fields = {"name": "without a key, from this machine", "owner": owner, "prefix": "", "scopes": scopes}
    ApiKey.objects.get_or_create(digest=ANONYMOUS_DIGEST, defaults=fields)


class BearerKey(HttpBearer):
    def __init__(self, scope: Scope | None = None) -> None:
        super().__init__()
        self.scope = scope

    async def authenticate(self, request: HttpRequest, token: str) -> ApiKey:
        return await admit(request, token, self.scope)


class HeaderKey(APIKeyHeader):
    """The last one asked, so it also answers for a request without any credential."""

    param_name = "X-API-Key"

    def __init__(self, scope: Scope | None = None) -> None:
        super().__init__()
        self.scope = scope

    async def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey:
        return await admit(request, key, self.scope)


def needs(scope: Scope | None) -> list[BearerKey | HeaderKey]:
    """The `auth` of a router or an operation; None: any key will do."""
    return [BearerKey(scope), HeaderKey(scope)]


def for_prompts() -> list[BearerKey | HeaderKey]:
    """The `auth` of the routers that answer prompts."""
    return needs(Scope.CHAT)


def cache_salt(request: HttpRequest) -> dict[str, str]:
    return salt_of(request.auth)  # type: ignore[attr-defined]  # ninja sets it


def salt_of(key: ApiKey) -> dict[str, str]:
    """For the engine: owners of keys share no cached prompts, so that none can find out another's by timing."""
    return {"cache_salt": f"owner-{key.owner_id}"}
