"""Reading what clips of a model take on this machine: a worker process for each profile, under a real lease."""

import platform
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from asgiref.sync import sync_to_async
from django.conf import settings
from django.utils import timezone

from fmlx_site.errors import FmlxError
from inference.models import ModelFolder
from memory import LocalNode, WorkerSpec, gib
from memory.environments import runtime_python
from videos import options
from videos.calibration import Reading
from videos.generation import RUNTIME
from videos.models import Calibration
from videos.predictor import Predictor, predictor_of
from videos.progress import PHASES
from videos.schemas import CreateVideo
from videos.shape import SIDE_MULTIPLE, Shape, shape_of

SCALES = (0.5, 1.0, 1.5, 2.0)  # of the model's own size
STEPS = 2  # they follow one another in the same memory, and the second shows what a step takes
SPARE = 2  # times what is predicted now is promised, so that a prediction that is too low does not end the worker


class ProfileFailed(FmlxError):
    code = "profile_failed"


@dataclass(slots=True)
class Measurement:
    """`say(text)` hears what is being done. `versions` are those of the last worker."""

    node: LocalNode
    folder: ModelFolder
    say: Callable[[str], None]
    steps: int = STEPS
    versions: dict[str, str] = field(default_factory=dict)

    async def run(self, shapes: Sequence[Shape]) -> AsyncIterator[Reading]:
        """Raises ProfileFailed, NeverFits or NoRoom; what runs is ended when the caller leaves."""
        predictor = await sync_to_async(predictor_of)(self.folder)
        for number, shape in enumerate(shapes, start=1):
            self.say(f"{number}/{len(shapes)}  {shape.width}x{shape.height}, {shape.frames} frames:")
            reading = await self._read(shape, predictor)
            self.say(f" {gib(reading.peak)}, {reading.wall_seconds:.1f} s\n")
            yield reading

    async def _read(self, shape: Shape, predictor: Predictor) -> Reading:
        work = settings.FMLX.work / self.node.row.name / "measure"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True, mode=0o700)
        try:
            return await self._attempt(shape, predictor.peak(shape.width, shape.height, shape.frames), work)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    async def _attempt(self, shape: Shape, predicted: int, work: Path) -> Reading:
        room = await sync_to_async(self.node.ledger.room)()
        spec, began = self._worker_spec(shape, work), time.monotonic()
        lease = await self.node.reserve(spec.kind, spec.holder, max(predicted, min(SPARE * predicted, room.free)))
        worker = await self.node.launch(spec, lease)
        try:
            await worker.send("start", spec=self._spec(shape, lease.bytes, work))
            manifest = await self._follow(worker.messages())
        except BaseException:
            await worker.stop("measuring was stopped")
            raise
        ended = await worker.wait()
        if manifest is None:
            why = ended.verdict.message if ended.verdict else f"Its log is {spec.log}."
            raise ProfileFailed(f"{spec.holder} could not be measured. {why}")
        self.versions = manifest["versions"]
        peak = max(manifest["peak_memory_bytes"], ended.peak_bytes or 0)
        step = manifest["phase_seconds"].get("denoising", 0.0) / self.steps
        return Reading(
            shape.width, shape.height, shape.frames, peak, round(step, 3), round(time.monotonic() - began, 2)
        )

    async def _follow(self, messages: AsyncIterator[dict[str, Any]]) -> dict[str, Any] | None:
        phase, manifest = "", None
        async for message in messages:
            if message["type"] == "done":
                manifest = message["manifest"]
            elif message["type"] == "failed":
                self.say(f" {message['message']}")
            elif message.get("phase") in PHASES and message["phase"] != phase:
                phase = message["phase"]
                self.say(f" {phase}")
        return manifest

    def _worker_spec(self, shape: Shape, work: Path) -> WorkerSpec:
        return WorkerSpec(
            kind="generator",
            holder=f"measure {self.folder.name} {shape.width}x{shape.height}x{shape.frames}"[:200],
            runtime=RUNTIME,
            argv=[str(runtime_python(settings.FMLX.home, RUNTIME)), "-m", "videos.runtimes.mlx_gen.worker"],
            log=settings.FMLX.logs / "workers" / "measure.log",
            cwd=work,
            stall_seconds=options.STALL_SECONDS.value,
        )

    def _spec(self, shape: Shape, lease: int, work: Path) -> dict[str, Any]:
        asked = {"width": shape.width, "height": shape.height, "frames": shape.frames, "fps": shape.fps}
        where = {
            "model_dir": self.folder.path,
            "output_dir": str(work),
            "artifacts_dir": str(work),
            "previews_dir": str(settings.FMLX.previews),
            "lease_bytes": lease,
        }
        return {**asked, **where, "steps": self.steps, "seed": 1, "prompt": "a red ball", "low_ram": True}


def matrix(folder: ModelFolder, sizes: Sequence[str], frames: Sequence[int]) -> list[Shape]:
    """The profiles: sizes times lengths, the smallest first; without either, by the model's own.

    Raises:
        InvalidRequest: above a limit of this server.
    """
    own = shape_of(CreateVideo(prompt="-"), folder.pipeline, folder.defaults)
    wanted = [*sizes] or [_scaled(own, scale, SIDE_MULTIPLE[folder.pipeline]) for scale in SCALES]
    limit = options.MAX_PIXELS.value
    able = [size for size in dict.fromkeys(wanted) if sizes or _pixels(size) <= limit]
    lengths = frames or sorted({max(5, own.frames // 4), own.frames})
    made = [
        shape_of(CreateVideo(prompt="-", size=size, frames=count), folder.pipeline, folder.defaults)
        for size in able
        for count in lengths
    ]
    return sorted({_bare(shape) for shape in made}, key=lambda one: (one.width * one.height, one.frames))


def _bare(shape: Shape) -> Shape:
    return Shape(shape.width, shape.height, shape.frames, shape.fps, STEPS, 1)


def _scaled(own: Shape, scale: float, multiple: int) -> str:
    width, height = (max(multiple, int(side * scale) // multiple * multiple) for side in (own.width, own.height))
    return f"{width}x{height}"


def _pixels(size: str) -> int:
    width, height = (int(side) for side in size.split("x"))
    return width * height


def describe_machine(node: LocalNode) -> str:
    memory = gib(psutil.virtual_memory().total)
    device = node.row.ceiling_terms.get("inputs", {}).get("device_name") or "no accelerator"
    return f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} cores, {memory}, {device}"[:200]


def store(measurement: Measurement, readings: Sequence[Reading], fitted: Predictor) -> Calibration:
    """Synchronous."""
    folder = measurement.folder
    kept, _ = Calibration.objects.update_or_create(
        node_id=folder.node_id,
        model=folder.name,
        defaults={
            "pipeline": folder.pipeline,
            "backend": folder.node.backend,
            "constants": fitted.kept(),
            "measured_tokens": fitted.measured_tokens,
            "readings": [one.kept() for one in readings],
            "machine": describe_machine(measurement.node),
            "versions": measurement.versions,
            "measured_at": timezone.now(),
        },
    )
    return kept
