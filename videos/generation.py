"""One attempt at a job on this node: find a worker, feed it, report its progress, settle the outcome."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import IntegrityError

from inference.models import ModelFolder
from memory import Exit, LaunchFailed, LocalNode, NeverFits, NoRoom, RoomPinned, Worker, WorkerSpec, join, say
from memory.environments import runtime_python
from memory.models import Lease
from videos import jobs, live, loras, options, settle, steps, storage, upscalers, upscaling
from videos.errors import FenceLost
from videos.generators import Generator, Generators, Place
from videos.models import Attempt, VideoJob
from videos.outcome import Outcome, outcome_of
from videos.predictor import predict
from videos.reports import Reports

log = structlog.get_logger(__name__)
RUNTIME = "mlx-gen"
UPSCALE = "upscale"  # the step after those that make the raw video
ROOM_SECONDS = 1.0  # between two looks whether there is room for it
# Reasons to stop that are not the job's own, with what is said then: it goes back in line, and the attempt is not
# counted.
GIVES_WAY = {"server_stopping": "stopped_while", "memory_needed": "memory_needed"}


class Generation:
    def __init__(
        self, node: LocalNode, generators: Generators, job: VideoJob, place: Place, folder: ModelFolder
    ) -> None:
        self.job, self.fence = job, job.fence
        self._node, self._generators, self._folder = node, generators, folder
        self.place = place
        self._stopping = asyncio.Event()
        self._stop_reason = ""
        self._reports = Reports(job, job.fence, self._expect_end)
        self._heard = False
        self._raw: list[dict[str, Any]] = []

    @property
    def lease(self) -> Lease:
        return self.place.lease

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
        finally:
            await sync_to_async(steps.tidy)(self._reports.keys)

    async def _run(self) -> None:
        try:
            work = await sync_to_async(storage.work_folder)(self._node.row.name, self.job)
            attempt = await self._begin()
        except BaseException:
            await self._give_back()  # no worker was started, so nobody else will
            raise
        try:
            outcome, exit_ = await self._attempt(work, attempt)
            await self._settle(work, attempt, outcome, exit_)
        finally:
            await sync_to_async(storage.discard)(work)

    async def _give_back(self) -> None:
        if self.place.generator:
            self._generators.dismiss(self.place.generator, "the node failed before its job began")
        else:
            await self._node.release(self.place.lease)

    async def _begin(self) -> Attempt:
        try:
            return await Attempt.objects.acreate(
                job=self.job,
                number=self.job.attempt_count,
                fence=self.fence,
                node=self._node.row,
                lease_bytes=self.lease.bytes,
                log=storage.log_file(self.job).name,
                warm=self.place.generator is not None,
            )
        except IntegrityError:
            raise FenceLost(self.job.pk) from None  # it was deleted since it was claimed

    async def _attempt(self, work: Path, attempt: Attempt) -> tuple[Outcome, Exit | None]:
        await self._reports.begin()
        if options.STAGED.value:
            outcome, exit_ = await self._stages(await sync_to_async(steps.left)(self.job.pk), work, attempt)
        else:
            outcome, exit_ = await self._step("", work, attempt)
        if outcome.completed and self.job.upscale:
            outcome = await self._upscale(outcome, work, attempt)
        return outcome, exit_

    async def _upscale(self, raw: Outcome, work: Path, attempt: Attempt) -> Outcome:
        """Make the video larger in a worker of its own. Where that fails, the raw video is what the job gives."""
        self._raw = raw.manifest["raw"]
        larger = await self._larger(work, attempt)
        if self._stopping.is_set() and not larger.completed:
            return Outcome(self._stop_reason)
        return Outcome("completed", manifest=upscaling.joined(raw.manifest, larger), larger=larger)

    async def _larger(self, work: Path, attempt: Attempt) -> Outcome:
        folder = await sync_to_async(upscalers.on_node)(self.job.upscale, self._node.row.pk)
        if folder is None:
            return upscaling.no_model(self.job)
        self._folder = folder
        changes = {"phase": "upscaling", "step": 0, "total_steps": 0}
        await live.job_changed(await sync_to_async(jobs.report)(self.job.pk, self.fence, **changes))
        shape = (self.job.width, self.job.height, self.job.total_frames)
        try:
            lease = await self._room(await sync_to_async(upscalers.predict)(folder, *shape))
        except NoRoom as refusal:
            return Outcome(upscaling.NO_ROOM, join(say("no_room_to_upscale"), refusal.message))
        except NeverFits as refusal:
            return Outcome(refusal.code or "", refusal.message)
        self.place = Place(lease)
        outcome, _ = await self._step(UPSCALE, work, attempt)
        return outcome

    async def _room(self, need: int) -> Lease:
        """Wait for it as long as a worker may make no progress. Raises NoRoom or NeverFits."""
        until = time.monotonic() + options.STALL_SECONDS.value
        while True:
            try:
                return await self._node.reserve("generator", self.job.pk, need)
            except NoRoom as refusal:
                if isinstance(refusal, RoomPinned) or self._stopping.is_set() or time.monotonic() >= until:
                    raise
            with suppress(TimeoutError):
                async with asyncio.timeout(ROOM_SECONDS):
                    await self._stopping.wait()

    async def _stages(self, names: Sequence[str], work: Path, attempt: Attempt) -> tuple[Outcome, Exit | None]:
        """Each step in a worker of its own; between two the memory is free, and the work that is done is kept."""
        manifest: dict[str, Any] = {}
        for name in names:
            if name != names[0]:
                try:
                    shape = (self.job.width, self.job.height, self.job.frames)
                    need = await sync_to_async(predict)(self._folder, *shape, step=name)
                    need += await sync_to_async(loras.bytes_of)(self.job.loras)
                    self.place = Place(await self._node.reserve("generator", self.job.pk, need))
                except (NoRoom, NeverFits):
                    self.stop("memory_needed")
                    return Outcome("memory_needed"), None
            outcome, exit_ = await self._step(name, work, attempt)
            if not outcome.completed:
                return outcome, exit_
            manifest = settle.merged(manifest, outcome.manifest)
        return Outcome("completed", manifest=manifest), exit_

    async def _step(self, step: str, work: Path, attempt: Attempt) -> tuple[Outcome, Exit | None]:
        """The whole job, or the step that is named."""
        try:
            worker = await self._worker()
        except LaunchFailed as failure:
            return Outcome(failure.code or "", failure.message), None
        try:
            return await self._guide(worker, step, work, attempt)
        except BaseException:
            await worker.stop("the node failed while it looked after the job")  # it must not outlive its attempt
            raise

    async def _worker(self) -> Worker:
        """Raises LaunchFailed, with the lease released."""
        if self.place.generator:
            await self._node.hand_over(self.place.generator.worker, self.lease, self._worker_spec())
            return self.place.generator.worker
        return await self._node.launch(self._worker_spec(), self.lease)

    async def _guide(self, worker: Worker, step: str, work: Path, attempt: Attempt) -> tuple[Outcome, Exit]:
        watching = [asyncio.create_task(self._report()), asyncio.create_task(self._stop_when_asked(worker))]
        began = time.monotonic()
        stays = not step and options.IDLE_SECONDS.value > 0
        try:
            await Attempt.objects.filter(pk=attempt.pk).aupdate(pid=worker.pid)
            applied = await sync_to_async(loras.for_worker)(self.job.loras)
            await worker.send("start", spec=self._spec(step, work, applied, stays=stays))
            last = await self._follow(worker)
            if stays and last and last["type"] == "done" and not self._stopping.is_set():
                peak, wall = worker.watch.peak, time.monotonic() - began
                await self._generators.keep(Generator(worker, self.lease, self.job.model, self._folder.path))
                exit_ = Exit(status=None, signal=None, verdict=None, peak_bytes=peak, wall_seconds=wall)
            else:
                exit_ = await worker.wait()
            return outcome_of(last, exit_), exit_
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    def _worker_spec(self) -> WorkerSpec:
        python = runtime_python(settings.FMLX.home, RUNTIME)
        return WorkerSpec(
            kind="generator",
            holder=self.job.pk,
            runtime=RUNTIME,
            argv=[str(python), "-m", "videos.runtimes.mlx_gen.worker"],
            log=storage.log_file(self.job),
            cwd=storage.generator_folder(self._node.row.name),
            env={},
            timeout_seconds=options.TIMEOUT_SECONDS.value,
            stall_seconds=options.STALL_SECONDS.value,
        )

    def _spec(self, step: str, work: Path, applied: Sequence[Any], *, stays: bool) -> dict[str, Any]:
        asked = ("prompt", "negative_prompt", "width", "height", "frames", "fps", "steps", "seed")
        knobs = ("guidance_scale", "guidance_scale_2", "flow_shift", "boundary_ratio")
        given = ("picture", "last_picture", "clip", "strength")
        places = {
            "model_dir": self._folder.path,
            "output_dir": str(work),
            "artifacts_dir": str(settings.FMLX.steps),
            "lease_bytes": self.lease.bytes,
            "step": step,
        }
        if step == UPSCALE:
            return {**places, **upscaling.spec(self.job, self._raw)}
        return {
            **places,
            **{name: getattr(self.job, name) for name in asked + knobs},
            **{name: self.job.inputs[name] for name in given if name in self.job.inputs},
            "loras": applied,
            "previews_dir": str(settings.FMLX.previews),
            "low_ram": options.LOW_RAM.value,
            "verify": True,
            "stay": stays,
            "checkpoint_steps": options.CHECKPOINT_STEPS.value,
            "checkpoint_seconds": options.CHECKPOINT_SECONDS.value,
        }

    async def _follow(self, worker: Worker) -> dict[str, Any] | None:
        """Read the worker until its last word, `done` or `failed`, or until it is gone without one."""
        async for message in worker.messages():
            self._heard = True
            if message["type"] in ("done", "failed"):
                return message
            if message["type"] == "event":
                await self._reports.take(message)
        return None

    async def _report(self) -> None:
        try:
            await self._reports.write()
        except FenceLost:
            self.stop("changed_hands")

    async def _expect_end(self, seconds: float) -> None:
        await self._node.expect_end(self.lease, seconds)

    async def _stop_when_asked(self, worker: Worker) -> None:
        await self._stopping.wait()
        await worker.stop(self._stop_reason)

    async def _settle(self, work: Path, attempt: Attempt, outcome: Outcome, exit_: Exit | None) -> None:
        gave_way = self._stop_reason in GIVES_WAY
        if gave_way and not outcome.completed:
            outcome = Outcome(self._stop_reason, say(GIVES_WAY[self._stop_reason]))
        elif outcome.code == "worker_crashed" and self.place.generator and not self._heard:
            gave_way = True  # it died while it was idle, which is not the job's doing
        job = await sync_to_async(settle.settle)(self.job, attempt, work, outcome, exit_, gave_way=gave_way)
        log.info("Attempt ended.", job=self.job.pk, fence=self.fence, outcome=outcome.code, status=job.status)
        await live.job_changed(job)
