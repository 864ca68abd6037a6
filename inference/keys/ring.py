"""The keys that this process knows. Asking it costs no query while no key changes, and a change counts at once."""

import time
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db.models import Count, Max, Q

from fmlx_site.errors import Unauthorized
from fmlx_site.stamps import KEYS, look_seconds
from inference.models import ApiKey, digest

MOST_KNOWN = 10_000
Version = tuple[datetime | None, datetime | None, int, int]


def _read_version() -> Version:
    live = Count("id", filter=Q(owner__is_active=True))
    read: dict[str, Any] = ApiKey.objects.aggregate(
        changed=Max("changed_at"), revoked=Max("revoked_at"), count=Count("id"), live=live
    )
    return read["changed"], read["revoked"], read["count"], read["live"]


class KeyRing:
    """Keys by digest; None for one that is not good. `_round` grows whenever all is forgotten."""

    def __init__(self) -> None:
        self._known: dict[str, ApiKey | None] = {}
        self._stamp, self._looked_at = (0, 0), float("-inf")
        self._version: Version | None = None
        self._round = 0

    async def key_of(self, secret: str) -> ApiKey:
        """Raises Unauthorized when there is no such key, or it was revoked or has expired."""
        return await self.by_digest(digest(secret))

    async def by_digest(self, hashed: str) -> ApiKey:
        """As `key_of`."""
        await self._notice_changes()
        key = self._known[hashed] if hashed in self._known else await self._learn(hashed)
        if key is None:
            raise Unauthorized("This API key is not known here, or it was revoked.")
        if key.expired:
            raise Unauthorized(f"This API key expired on {key.expires_at:%Y-%m-%d at %H:%M} UTC; ask for a new one.")
        return key

    def forget(self) -> None:
        self._known.clear()
        self._round += 1

    async def _notice_changes(self) -> None:
        if (now_there := KEYS.seen()) != self._stamp:
            self._stamp = now_there
            self.forget()
        if time.monotonic() - self._looked_at >= look_seconds():
            self._looked_at = time.monotonic()
            version = await sync_to_async(_read_version)()
            if version != self._version:
                self._version = version
                self.forget()

    async def _learn(self, hashed: str) -> ApiKey | None:
        while True:
            began = self._round
            found = await ApiKey.objects.filter(digest=hashed, revoked_at=None, owner__is_active=True).afirst()
            if self._round == began:  # else it may have been read before the change
                break
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[hashed] = found
        return found


ring = KeyRing()
