"""`ws/models/`: what every engine does, then each change of it; and when the list itself, or a download, is another."""

import asyncio
import contextlib
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from inference.catalog import recent_catalog
from inference.client import Event
from inference.downloads.changes import CHANGED as DOWNLOADS
from inference.pool import ENGINES, engine_states
from inference.shelf import GROUP

FORBIDDEN = 4403
GROUPS = (GROUP, ENGINES, DOWNLOADS)
LOOK_SECONDS = 1.0  # requests come and go without an event of their own


class ModelsConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self) -> None:
        self._looking: asyncio.Task[None] | None = None
        self._sent: dict[str, Event] = {}
        await self.accept()
        if not await self._permitted():
            await self.close(FORBIDDEN)  # after accepting, since a browser is not shown why a handshake failed
            return
        for group in GROUPS:
            await self.channel_layer.group_add(group, self.channel_name)
        self._sent = await self._states()
        await self.send_json({"type": "snapshot", "engines": self._sent})
        self._looking = asyncio.create_task(self._look())

    async def disconnect(self, code: int) -> None:
        if self._looking:
            self._looking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._looking
            for group in GROUPS:
                await self.channel_layer.group_discard(group, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Pages only listen; whatever a client sends is let pass."""

    async def engine_changed(self, event: dict[str, Any]) -> None:
        await self._tell(event["engine"])

    async def models_changed(self, event: dict[str, Any]) -> None:
        await self.send_json({"type": "list"})

    async def downloads_changed(self, event: dict[str, Any]) -> None:
        """At most once a second from each node while one runs; the page asks for the list itself."""
        await self.send_json({"type": "downloads"})

    async def models_rescan(self, event: dict[str, Any]) -> None:
        """Asked of the nodes; they say `models_changed` when they have looked."""

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for state in (await self._states()).values():
                await self._tell(state)

    async def _tell(self, state: Event) -> None:
        before, self._sent[state["id"]] = self._sent.get(state["id"]), state
        if _shown(before) != _shown(state):
            await self.send_json({"type": "engine", "engine": state})

    async def _states(self) -> dict[str, Event]:
        return await engine_states(await recent_catalog.read())

    async def _permitted(self) -> bool:
        user = self.scope["user"]
        if user is None or not user.is_authenticated:
            return False
        permitted: bool = await database_sync_to_async(user.has_perm)("inference.view_modelfolder")
        return permitted


def _shown(state: Event | None) -> list[Any]:
    """What the page shows of it, without what moves with every request."""
    return [(state or {}).get(name) for name in ("loaded", "loading", "active_requests", "lease_bytes", "problem")]
