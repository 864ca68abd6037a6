"""`ws/requests/`: the number of the newest request, first and whenever there are more. The page then asks for rows."""

from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from inference.models import RequestLog
from inference.request_log.writer import GROUP

FORBIDDEN = 4403


class RequestsConsumer(AsyncJsonWebsocketConsumer):
    async def connect(self) -> None:
        self._joined = False
        await self.accept()
        user = self.scope["user"]
        if user is None or not user.is_authenticated:
            await self.close(FORBIDDEN)  # after accepting, since a browser is not shown why a handshake failed
            return
        self._joined = True
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.send_json({"type": "snapshot", "newest": await database_sync_to_async(_newest)()})

    async def disconnect(self, code: int) -> None:
        if self._joined:
            await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Pages only listen; whatever a client sends is let pass."""

    async def requests_written(self, event: dict[str, Any]) -> None:
        await self.send_json({"type": "requests", "number": event["newest"]})


def _newest() -> int:
    return RequestLog.objects.values_list("pk", flat=True).first() or 0
