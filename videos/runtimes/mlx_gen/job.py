"""One job after another from spec to manifest: encode, condition, denoise, decode, mux; or one of them alone."""

import os
from pathlib import Path
from typing import Any

import mlx.core as mx
from mflux.utils.tensor_health import TensorHealthError

from memory.protocol import Channel, Message, WorkerFailed
from videos.runtimes.mlx_gen import files, limits
from videos.runtimes.mlx_gen.artifacts import Shelf
from videos.runtimes.mlx_gen.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.components import Components, drop_freed
from videos.runtimes.mlx_gen.loras import Loras
from videos.runtimes.mlx_gen.phases import Phases
from videos.runtimes.mlx_gen.recipe import Recipe
from videos.runtimes.mlx_gen.spec import Spec
from videos.runtimes.mlx_gen.steps import Steps
from videos.runtimes.mlx_gen.versions import versions


class Workshop:
    """What stays in a worker from one job to the next: the modules it has loaded, and nothing else."""

    def __init__(self) -> None:
        self._components = Components()
        self._home = Path.cwd()
        self._jobs = 0

    def run(self, channel: Channel, message: Message) -> Message:
        """Make one video, or do one step of it. The process is in `output_dir` while it does.

        Returns:
            The manifest: what was made, with which settings, in which time and memory.

        Raises:
            WorkerFailed: `model_invalid`, `output_invalid` or `artifact_missing`.
            Aborted: the node asked for the end; nothing is left in `output_dir`.
        """
        spec = Spec.of(message)
        spec.output_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chdir(spec.output_dir)
        restore = limits.apply(spec.lease_bytes, low_ram=spec.low_ram)
        try:
            return self._run(channel, spec)
        except TensorHealthError as error:
            raise WorkerFailed("output_invalid", f"The model computed values that are not finite: {error}") from error
        finally:
            restore()
            os.chdir(self._home)

    def _run(self, channel: Channel, spec: Spec) -> Message:
        mx.reset_peak_memory()
        phases, checkpoint = Phases(channel), Checkpoint(spec.model_dir)
        loras = Loras(spec.loras, checkpoint.denoisers)
        self._components.begin(checkpoint, phases, loras, low_ram=spec.low_ram)
        recipe = Recipe.of(spec, checkpoint, self._components.config)
        steps = Steps(spec, recipe, checkpoint, self._components, Shelf(spec.artifacts_dir, spec.output_dir), phases)
        try:
            made = self._make(steps)
        finally:
            steps.lookout.close()
        self._jobs += 1
        wall = phases.finish()
        drop_freed()
        return {
            **made,
            "pipeline": checkpoint.pipeline,
            **recipe.used,
            "steps_made": steps.made,
            "checkpoints": steps.account,
            "loras": loras.applied,
            "previews": steps.lookout.account(),
            "warm": {"jobs_before": self._jobs - 1, "components": steps.warm_components},
            "phase_seconds": phases.seconds,
            "wall_seconds": round(wall, 4),
            "mlx_peak_bytes": limits.mlx_peak_bytes(),
            "peak_memory_bytes": limits.peak_memory_bytes(),
            "versions": versions(),
        }

    def _make(self, steps: Steps) -> dict[str, Any]:
        """All steps, or one. The memory that backs the frames is let go of before the manifest is written."""
        if steps.spec.step in steps.keys:
            return dict(steps.run(steps.spec.step).facts)
        frames = steps.run("decode") if not steps.spec.step else steps.given("decode")
        before = steps.source("clip", steps.recipe.clip) if steps.recipe.head else None
        parts = files.parts_of(frames, steps.recipe, before)
        made = files.make(parts, steps.recipe, steps.spec, steps.phases)
        return {"files": made, "raw": files.told(parts), "frames_sha256": frames.kept.sha256, **frames.facts}
