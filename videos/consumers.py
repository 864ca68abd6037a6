"""Live video jobs for pages: a snapshot from the database, then numbered events, at most ten a second."""

import asyncio
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from videos import jobs, live
from videos.models import VideoJob
from videos.schemas import Video

COALESCE_SECONDS = 0.1
LIST_LENGTH = 50
FORBIDDEN = 4403
MISSING = 4404


class JobsConsumer(AsyncJsonWebsocketConsumer):
    """Keeps the newest event per job and sends what is new ten times a second: a slow reader never falls behind."""

    group = live.ALL

    async def connect(self) -> None:
        await self.accept()
        user = self.scope["user"]
        if user is None or not user.is_authenticated or not user.has_perm("videos.view_videojob"):
            await self.close(FORBIDDEN)
            return
        self._sent: dict[str, int] = {}
        self._pending: dict[str, dict[str, Any]] = {}
        self._flushing: asyncio.Task[None] | None = None
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.snapshot()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(self.group, self.channel_name)
        if flushing := getattr(self, "_flushing", None):
            flushing.cancel()

    async def snapshot(self) -> None:
        raise NotImplementedError

    async def send_snapshot(self, videos: list[Video]) -> None:
        self._sent = {video.id: video.event_number for video in videos}
        await self.send_json({"type": "snapshot", "videos": [video.model_dump(mode="json") for video in videos]})

    async def video_changed(self, event: dict[str, Any]) -> None:
        video = event["video"]
        if video["event_number"] > self._sent.get(video["id"], -1):
            self._sent[video["id"]] = video["event_number"]
            self._hold({"type": "video", "number": video["event_number"], "video": video})

    async def video_deleted(self, event: dict[str, Any]) -> None:
        self._hold({"type": "deleted", "video": event["video"]})

    def _hold(self, message: dict[str, Any]) -> None:
        self._pending[message["video"]["id"]] = message
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        while self._pending:
            messages, self._pending = self._pending, {}
            for message in messages.values():
                await self.send_json(message)
            await asyncio.sleep(COALESCE_SECONDS)


class VideoListConsumer(JobsConsumer):
    """`ws/videos/`: the newest jobs, and every change."""

    async def snapshot(self) -> None:
        await self.send_snapshot(await database_sync_to_async(newest)(LIST_LENGTH))


class VideoConsumer(JobsConsumer):
    """`ws/videos/{id}/`: one job."""

    async def connect(self) -> None:
        self._video_id = self.scope["url_route"]["kwargs"]["video_id"]
        self.group = live.group_of(self._video_id)
        await super().connect()

    async def snapshot(self) -> None:
        job = await VideoJob.objects.filter(pk=self._video_id).afirst()
        if job is None:
            await self.close(MISSING)
        else:
            await self.send_snapshot([await live.resource(job)])


def newest(count: int) -> list[Video]:
    rows = VideoJob.objects.order_by("-created_at", "-id")[:count]
    return [Video.of(job, jobs.queue_position(job)) for job in rows]
