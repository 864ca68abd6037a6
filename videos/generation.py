"""One attempt at a job on this node: launch the worker, feed it, report its progress, settle the outcome."""

import asyncio
from pathlib import Path
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import IntegrityError

from inference.models import ModelFolder
from memory import Exit, LaunchFailed, LocalNode, Worker, WorkerSpec, say
from memory.environments import runtime_python
from memory.models import Lease
from videos import jobs, live, options, settle, storage
from videos.errors import FenceLost
from videos.models import Attempt, VideoJob
from videos.outcome import Outcome, outcome_of
from videos.progress import PHASES, Meter

log = structlog.get_logger(__name__)
RUNTIME = "mlx-gen"
# Reasons to stop that are not the job's own, with what is said then: it goes back in line, and the attempt is not
# counted.
GIVES_WAY = {"server_stopping": "stopped_while", "memory_needed": "memory_needed"}
REPORT_SECONDS = 0.1  # at most ten reports a second reach the database and the listeners


class Generation:
    def __init__(self, node: LocalNode, job: VideoJob, lease: Lease, folder: ModelFolder) -> None:
        self.job, self.fence = job, job.fence
        self._node, self.lease, self._folder = node, lease, folder
        self._stopping = asyncio.Event()
        self._stop_reason = ""
        self._latest: dict[str, Any] = {}
        self._dirty = asyncio.Event()

    def stop(self, reason: str) -> None:
        """Ask the attempt to end; `run` returns when the worker is gone."""
        self._stop_reason = self._stop_reason or reason
        self._stopping.set()

    async def run(self) -> None:
        try:
            await self._run()
        except FenceLost:
            log.info("The job changed hands while it ran; this attempt lets go.", job=self.job.pk, fence=self.fence)
            await sync_to_async(storage.remove_if_deleted)(self.job.pk)

    async def _run(self) -> None:
        try:
            work = await sync_to_async(storage.work_folder)(self._node.row.name, self.job)
            attempt = await self._begin()
        except BaseException:
            await self._node.release(self.lease)  # no worker was started, so nobody else will
            raise
        try:
            outcome, exit_ = await self._attempt(work, attempt)
            await self._settle(work, attempt, outcome, exit_)
        finally:
            await sync_to_async(storage.discard)(work)

    async def _begin(self) -> Attempt:
        try:
            return await Attempt.objects.acreate(
                job=self.job,
                number=self.job.attempt_count,
                fence=self.fence,
                node=self._node.row,
                lease_bytes=self.lease.bytes,
                log=storage.log_file(self.job).name,
            )
        except IntegrityError:
            raise FenceLost(self.job.pk) from None  # it was deleted since it was claimed

    async def _attempt(self, work: Path, attempt: Attempt) -> tuple[Outcome, Exit | None]:
        try:
            worker = await self._node.launch(self._worker_spec(work), self.lease)
        except LaunchFailed as failure:
            return Outcome(failure.code or "", failure.message), None
        try:
            return await self._guide(worker, work, attempt)
        except BaseException:
            await worker.stop("the node failed while it looked after the job")  # it must not outlive its attempt
            raise

    async def _guide(self, worker: Worker, work: Path, attempt: Attempt) -> tuple[Outcome, Exit]:
        reporter = asyncio.create_task(self._report())
        stopper = asyncio.create_task(self._stop_when_asked(worker))
        try:
            await Attempt.objects.filter(pk=attempt.pk).aupdate(pid=worker.pid)
            await worker.send("start", spec=self._spec(work))
            last = await self._follow(worker)
            return outcome_of(last, exit_ := await worker.wait()), exit_
        finally:
            for task in (reporter, stopper):
                task.cancel()
            await asyncio.gather(reporter, stopper, return_exceptions=True)

    def _worker_spec(self, work: Path) -> WorkerSpec:
        python = runtime_python(settings.FMLX.home, RUNTIME)
        return WorkerSpec(
            kind="generator",
            holder=self.job.pk,
            runtime=RUNTIME,
            argv=[str(python), "-m", "videos.runtimes.mlx_gen.worker"],
            log=storage.log_file(self.job),
            cwd=work,
            env={},
            timeout_seconds=options.TIMEOUT_SECONDS.value,
            stall_seconds=options.STALL_SECONDS.value,
        )

    def _spec(self, work: Path) -> dict[str, Any]:
        asked = ("prompt", "negative_prompt", "width", "height", "frames", "fps", "steps", "seed")
        knobs = ("guidance_scale", "guidance_scale_2", "flow_shift")
        return {
            **{name: getattr(self.job, name) for name in asked + knobs},
            "model_dir": self._folder.path,
            "output_dir": str(work),
            "lease_bytes": self.lease.bytes,
            "low_ram": True,
            "verify": True,
        }

    async def _follow(self, worker: Worker) -> dict[str, Any] | None:
        """Read the worker until it is gone; returns its last word, `done` or `failed`, if it had one."""
        meter = Meter(expected=await sync_to_async(settle.phase_seconds)(self.job) or Meter().expected)
        last = None
        async for message in worker.messages():
            if message["type"] in ("done", "failed"):
                last = message
            elif message["type"] == "event" and message.get("phase") in PHASES:
                step, total = int(message.get("step", 0)), int(message.get("total_steps", 0))
                percent, eta = meter.read(message["phase"], step, total)
                self._latest = {
                    "phase": message["phase"],
                    "step": step,
                    "total_steps": total,
                    "progress": percent,
                    "eta_seconds": eta,
                }
                self._dirty.set()
        return last

    async def _report(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                job = await sync_to_async(jobs.report)(self.job.pk, self.fence, **self._latest)
            except FenceLost:
                self.stop("changed_hands")
                return
            if job.eta_seconds is not None:
                await self._node.expect_end(self.lease, job.eta_seconds)
            await live.job_changed(job)
            await asyncio.sleep(REPORT_SECONDS)

    async def _stop_when_asked(self, worker: Worker) -> None:
        await self._stopping.wait()
        await worker.stop(self._stop_reason)

    async def _settle(self, work: Path, attempt: Attempt, outcome: Outcome, exit_: Exit | None) -> None:
        gave_way = self._stop_reason in GIVES_WAY
        if gave_way and not outcome.completed:
            outcome = Outcome(self._stop_reason, say(GIVES_WAY[self._stop_reason]))
        job = await sync_to_async(settle.settle)(self.job, attempt, work, outcome, exit_, gave_way=gave_way)
        log.info("Attempt ended.", job=self.job.pk, fence=self.fence, outcome=outcome.code, status=job.status)
        await live.job_changed(job)
