"""What a worker says of its work, written on the job's row and told to those who listen."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async

from memory import parts_of, say
from videos import jobs, live, pace, steps
from videos.models import JobEvent, VideoJob
from videos.progress import PHASES, TYPICAL, Meter

REPORT_SECONDS = 0.1  # at most ten reports a second reach the database and the listeners


class Reports:
    """Of one attempt. `keys` are those of the artifacts it names; `expect_end` hears how many seconds are left."""

    def __init__(self, job: VideoJob, fence: int, expect_end: Callable[[float], Awaitable[None]]) -> None:
        self._job, self._fence, self._expect_end = job, fence, expect_end
        self._meter = Meter()
        self._latest: dict[str, Any] = {}
        self._dirty = asyncio.Event()
        self.keys: set[str] = set()

    async def begin(self) -> None:
        job = self._job
        shape = {"width": job.width, "height": job.height, "frames": job.frames, "steps": job.steps}
        seconds = await sync_to_async(pace.expected)(job.model, **shape)
        if job.upscale:
            expected = seconds or dict(TYPICAL)
            expected["upscaling"] = await sync_to_async(pace.upscaling)(job) or sum(expected.values())
            self._meter = Meter(expected, learned=bool(seconds))
        elif seconds:
            self._meter = Meter(seconds, learned=True)

    async def take(self, event: dict[str, Any]) -> None:
        """One `event` of the worker's."""
        phase = event.get("phase")
        if phase in PHASES:
            self._progress(phase, int(event.get("step", 0)), int(event.get("total_steps", 0)))
        elif phase == "preview":
            self._change(preview_number=int(event["number"]))
        elif phase == "planned":
            self.keys |= set(event["keys"].values())
            await sync_to_async(steps.plan)(self._job.pk, event["keys"])
        elif phase == "made":
            facts = {"key": event["key"], "size": event["bytes"], "reused": event["reused"]}
            await sync_to_async(steps.made)(self._job.pk, event["made"], **facts)
        elif phase == "resumed":
            text = say("went_on", done=event["at"], total=event["of"])
            await JobEvent.objects.acreate(job=self._job, what="went_on", message=text, said=parts_of(text))

    def _progress(self, phase: str, step: int, total: int) -> None:
        percent, eta = self._meter.read(phase, step, total)
        self._change(phase=phase, step=step, total_steps=total, progress=percent, eta_seconds=eta)

    def _change(self, **fields: Any) -> None:
        self._latest |= fields
        self._dirty.set()

    async def write(self) -> None:
        """Keep the row true until cancelled. Raises FenceLost when the job is not this attempt's any more."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            job = await sync_to_async(jobs.report)(self._job.pk, self._fence, **self._latest)
            if job.eta_seconds is not None:
                await self._expect_end(job.eta_seconds)
            await live.job_changed(job)
            await asyncio.sleep(REPORT_SECONDS)
