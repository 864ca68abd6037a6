"""Live video jobs for pages: a snapshot from the database, then numbered events, at most ten a second."""

import asyncio
import re
import sys
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.utils import translation

from fmlx_site.languages import language_of
from memory import spelled
from videos import jobs, live
from videos.models import VideoJob
from videos.schemas import Video

COALESCE_SECONDS = 0.1
LIST_LENGTH = 50
FORBIDDEN = 4403
MISSING = 4404
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
QUEUE = "queue"


class JobsConsumer(AsyncJsonWebsocketConsumer):
    """Keeps the newest event per job and sends what is new ten times a second: a slow reader never falls behind.

    A job that joins or leaves the queue moves the others, so their positions are sent too.
    """

    async def connect(self) -> None:
        self._sent: dict[str, int] = {}
        self._queued: set[str] = set()
        self._pending: dict[str, dict[str, Any]] = {}
        self._flushing: asyncio.Task[None] | None = None
        self._joined = False
        await self.accept()
        if refusal := await self._refusal():
            await self.close(refusal)  # after accepting, since a browser is not shown why a handshake failed
            return
        self._joined = True
        await self.channel_layer.group_add(live.ALL, self.channel_name)
        await self._snapshot()

    async def disconnect(self, code: int) -> None:
        if self._joined:
            await self.channel_layer.group_discard(live.ALL, self.channel_name)
        if self._flushing:
            self._flushing.cancel()
            await asyncio.gather(self._flushing, return_exceptions=True)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        """Pages only listen; whatever a client sends is let pass."""

    async def _refusal(self) -> int | None:
        user = self.scope["user"]
        if user is None or not user.is_authenticated:
            return FORBIDDEN
        permitted = await database_sync_to_async(user.has_perm)("videos.view_videojob")
        return None if permitted else FORBIDDEN

    def read(self) -> list[VideoJob]:
        """The jobs this connection begins with."""
        raise NotImplementedError

    def wants(self, video_id: str) -> bool:
        return True

    async def _snapshot(self) -> None:
        rows, places = await database_sync_to_async(lambda: (self.read(), jobs.queue_positions()))()
        self._queued = set(places)
        self._sent = {job.pk: job.event_number for job in rows}
        videos = [self._shown(Video.of(job, places.get(job.pk)).model_dump(), job.waiting_said) for job in rows]
        await self.send_json({"type": "snapshot", "videos": videos})

    async def video_changed(self, event: dict[str, Any]) -> None:
        video = self._shown(event["video"], event["waiting"])
        self._watch_queue(video["id"], waits=video["status"] == VideoJob.Status.QUEUED and not video["paused"])
        if self.wants(video["id"]) and video["event_number"] > self._sent.get(video["id"], -1):
            self._sent[video["id"]] = video["event_number"]
            self._hold(video["id"], {"type": "video", "number": video["event_number"], "video": video})

    def _shown(self, video: dict[str, Any], waiting: list[dict[str, Any]]) -> dict[str, Any]:
        """With the reason to wait in the reader's language."""
        if not waiting:
            return video
        with translation.override(language_of(self.scope)):
            return {**video, "waiting_reason": spelled(waiting)}

    async def video_deleted(self, event: dict[str, Any]) -> None:
        video_id = event["video"]["id"]
        self._watch_queue(video_id, waits=False)
        if self.wants(video_id):
            self._sent[video_id] = sys.maxsize  # an event that was on its way does not bring it back
            self._hold(video_id, {"type": "deleted", "video": event["video"]})

    def _watch_queue(self, video_id: str, *, waits: bool) -> None:
        if waits == (video_id in self._queued):
            return
        self._queued ^= {video_id}
        self._hold(QUEUE, {"type": "queue"})

    def _hold(self, what: str, message: dict[str, Any]) -> None:
        self._pending[what] = message
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        while self._pending:
            messages, self._pending = self._pending, {}
            if messages.pop(QUEUE, None):
                messages[QUEUE] = {"type": "queue", "positions": await self._positions()}
            for message in messages.values():
                await self.send_json(message)
            await asyncio.sleep(COALESCE_SECONDS)

    async def _positions(self) -> dict[str, int]:
        return await database_sync_to_async(jobs.queue_positions)(self._sent.keys() & self._queued)


class VideoListConsumer(JobsConsumer):
    """`ws/videos/`: the newest jobs, and every change."""

    def read(self) -> list[VideoJob]:
        return list(VideoJob.objects.order_by("-created_at", "-id")[:LIST_LENGTH])


class VideoConsumer(JobsConsumer):
    """`ws/videos/{id}/`: one job. It hears of all, since others leaving the queue move it."""

    async def connect(self) -> None:
        self._video_id: str = self.scope["url_route"]["kwargs"]["video_id"]
        await super().connect()

    async def _refusal(self) -> int | None:
        if refusal := await super()._refusal():
            return refusal
        known = ID.fullmatch(self._video_id) and await VideoJob.objects.filter(pk=self._video_id).aexists()
        return None if known else MISSING

    def wants(self, video_id: str) -> bool:
        return video_id == self._video_id

    def read(self) -> list[VideoJob]:
        return list(VideoJob.objects.filter(pk=self._video_id))
