"""`ws/memory/`: what is promised as the database has it, then every second's figures."""

from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from memory import live
from memory.api import read_memory

FORBIDDEN = 4403


class MemoryConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self) -> None:
        self._joined = False
        await self.accept()
        if not await self._permitted():
            await self.close(FORBIDDEN)  # after accepting, since a browser is not shown why a handshake failed
            return
        self._joined = True
        await self.channel_layer.group_add(live.GROUP, self.channel_name)
        memory = await database_sync_to_async(read_memory)()
        await self.send_json({"type": "snapshot", "memory": memory.model_dump(mode="json")})

    async def disconnect(self, code: int) -> None:
        if self._joined:
            await self.channel_layer.group_discard(live.GROUP, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Pages only listen; whatever a client sends is let pass."""

    async def memory_tick(self, event: dict[str, Any]) -> None:
        await self.send_json({"type": "tick", "number": event["tick"]["at"], **event["tick"]})

    async def _permitted(self) -> bool:
        user = self.scope["user"]
        if user is None or not user.is_authenticated:
            return False
        permitted: bool = await database_sync_to_async(user.has_perm)("memory.view_lease")
        return permitted
