"""Making clips one after another in this process, with the worker's own pipeline and a demo model's own defaults."""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from videos.runtimes.mlx_gen import limits
from videos.runtimes.mlx_gen.artifacts import Shelf
from videos.runtimes.mlx_gen.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.components import Components
from videos.runtimes.mlx_gen.loras import Loras
from videos.runtimes.mlx_gen.phases import Phases
from videos.runtimes.mlx_gen.recipe import Recipe
from videos.runtimes.mlx_gen.spec import Spec
from videos.runtimes.mlx_gen.steps import Steps

LEASE_BYTES = 4 * 1024**3


class Unwatched(Phases):
    """Progress that nobody follows."""

    def __init__(self) -> None:
        self.seconds, self._current = {}, None

    def begin(self, phase: str, total_steps: int) -> None:
        self._current = phase

    def tell(self, what: str, **fields: Any) -> None:
        return

    def step(self, done: int) -> None:
        return

    def checkpoint(self) -> None:
        return


class Studio:
    """A demo model's folder and how its clips are made unless a call says otherwise."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        found = json.loads((folder / "fmlx.json").read_text())["defaults"] | changes
        width, height = (int(side) for side in found.pop("size").split("x"))
        self._folder, self._settings = folder, {**found, "width": width, "height": height}
        self._components = Components()
        limits.apply(LEASE_BYTES, low_ram=False)

    def clip(self, prompt: str, seed: int) -> np.ndarray:
        """Frames uint8 [F, H, W, 3]."""
        with tempfile.TemporaryDirectory() as folder:
            asked = {"prompt": prompt, "seed": seed, "lease_bytes": LEASE_BYTES, "low_ram": False, **self._settings}
            spec = Spec.of({"model_dir": self._folder, "output_dir": folder, "artifacts_dir": folder, **asked})
            found = self._steps(spec).run("decode")
            return np.frombuffer(found.bytes("frames"), np.uint8).reshape(found.layout["frames"][1])

    def _steps(self, spec: Spec) -> Steps:
        checkpoint, phases = Checkpoint(self._folder), Unwatched()
        self._components.begin(checkpoint, phases, Loras((), ()), low_ram=False)
        recipe = Recipe.of(spec, checkpoint, self._components.config)
        shelf = Shelf(spec.artifacts_dir, spec.output_dir)
        return Steps(spec, recipe, checkpoint, self._components, shelf, phases)
