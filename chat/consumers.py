"""A conversation as it is answered: what is kept first, and every piece after, each once and in order."""

import asyncio
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from chat import conversations
from chat.answering import group_of
from chat.models import Conversation, Message
from inference.pool import ENGINES

FORBIDDEN = 4403
MISSING = 4404
LOOK_SECONDS = 5.0  # for answers whose process is gone
PARTS = ("thinking", "text")


class ChatConsumer(AsyncJsonWebsocketConsumer):
    """`ws/chat/{id}/`: of its owner only."""

    async def connect(self) -> None:
        self._sent: dict[str, dict[str, int]] = {}
        self._models: dict[str, str] = {}
        self._watching: asyncio.Task[None] | None = None
        self._group = ""
        await self.accept()
        refusal, conversation = await database_sync_to_async(self._look)()
        if conversation is None:
            await self.close(refusal)  # after accepting, since a browser is not shown why a handshake failed
            return
        self._group = group_of(conversation.pk)
        for group in (self._group, ENGINES):
            await self.channel_layer.group_add(group, self.channel_name)
        await self._snapshot(conversation)
        self._watching = asyncio.create_task(self._watch(conversation))

    async def disconnect(self, code: int) -> None:
        if self._group:
            for group in (self._group, ENGINES):
                await self.channel_layer.group_discard(group, self.channel_name)
        if self._watching:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Pages only listen; whatever a client sends is let pass."""

    def _look(self) -> tuple[int, Conversation | None]:
        user = self.scope["user"]
        if user is None or not user.is_authenticated or not user.has_perm("chat.add_conversation"):
            return FORBIDDEN, None
        return MISSING, conversations.of(user).filter(pk=self.scope["url_route"]["kwargs"]["conversation_id"]).first()

    async def _snapshot(self, conversation: Conversation) -> None:
        rows = [row async for row in conversation.messages.filter(state=Message.State.ANSWERING)]
        await self.send_json({"type": "snapshot", "answering": [self._whole(row) for row in rows]})

    def _whole(self, row: Message) -> dict[str, str]:
        self._models[row.pk] = row.model
        self._sent[row.pk] = {name: len(getattr(row, name)) for name in PARTS}
        return {"id": row.pk, "thinking": row.thinking, "text": row.text}

    async def _watch(self, conversation: Conversation) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._sent and await database_sync_to_async(conversations.settle_lost)(conversation):
                for message_id in list(self._sent):
                    await self.chat_ended({"message": message_id})

    async def chat_pieces(self, event: dict[str, Any]) -> None:
        sent = self._sent.get(event["message"])
        if sent is None or any(at > sent[name] for name, (at, _) in event["pieces"].items()):
            await self.chat_moved(event)  # something was missed: what is kept has it, or the next that is kept
            return
        new = {name: text[sent[name] - at :] for name, (at, text) in event["pieces"].items()}
        for name, text in new.items():
            sent[name] += len(text)
        await self.send_json({"type": "pieces", "id": event["message"], **new})

    async def chat_moved(self, event: dict[str, Any]) -> None:
        row = await Message.objects.filter(pk=event["message"], state=Message.State.ANSWERING).afirst()
        if row is not None:
            await self.send_json({"type": "whole", **self._whole(row)})

    async def chat_phase(self, event: dict[str, Any]) -> None:
        share = {"done": event["done"], "total": event["total"]}
        await self.send_json({"type": "phase", "id": event["message"], "phase": event["phase"], **share})

    async def engine_changed(self, event: dict[str, Any]) -> None:
        if loading := event["engine"]["loading"]:
            for message_id in [one for one, model in self._models.items() if model == event["engine"]["id"]]:
                await self.send_json({"type": "phase", "id": message_id, "phase": "loading", **loading})

    async def chat_ended(self, event: dict[str, Any]) -> None:
        self._sent.pop(event["message"], None)
        self._models.pop(event["message"], None)
        await self.send_json({"type": "ended", "id": event["message"]})
