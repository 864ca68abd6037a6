"""Making clips one after another in this process, with the worker's own pipeline and a demo model's own defaults."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from videos.runtimes.mlx_gen import limits
from videos.runtimes.mlx_gen.artifacts import Shelf
from videos.runtimes.mlx_gen.checkpoint import I2V_A14B, Checkpoint
from videos.runtimes.mlx_gen.components import Components
from videos.runtimes.mlx_gen.loras import Loras
from videos.runtimes.mlx_gen.phases import Phases
from videos.runtimes.mlx_gen.recipe import Recipe
from videos.runtimes.mlx_gen.spec import Spec
from videos.runtimes.mlx_gen.steps import Steps

LEASE_BYTES = 4 * 1024**3
FIRST = "first"  # the key of the only picture on a clip's own shelf


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

    def clip(self, prompt: str, seed: int, picture: np.ndarray | None = None) -> np.ndarray:
        """Frames uint8 [F, H, W, 3], from a first picture uint8 [H, W, 3] where one is given."""
        with tempfile.TemporaryDirectory() as folder:
            asked = {"prompt": prompt, "seed": seed, "lease_bytes": LEASE_BYTES, "low_ram": False, **self._settings}
            spec = Spec.of({"model_dir": self._folder, "output_dir": folder, "artifacts_dir": folder, **asked})
            if picture is not None:
                spec = replace(spec, picture=_laid_out(picture, Shelf(spec.artifacts_dir, spec.output_dir)))
            found = self._steps(spec).run("decode")
            return np.frombuffer(found.bytes("frames"), np.uint8).reshape(found.layout["frames"][1])

    @property
    def from_pictures(self) -> bool:
        """Does it make clips of a picture only?"""
        return Checkpoint(self._folder).pipeline == I2V_A14B

    def _steps(self, spec: Spec) -> Steps:
        checkpoint, phases = Checkpoint(self._folder), Unwatched()
        self._components.begin(checkpoint, phases, Loras((), ()), low_ram=False)
        recipe = Recipe.of(spec, checkpoint, self._components.config)
        shelf = Shelf(spec.artifacts_dir, spec.output_dir)
        return Steps(spec, recipe, checkpoint, self._components, shelf, phases)


def _laid_out(picture: np.ndarray, shelf: Shelf) -> str:
    """Puts a picture where the worker takes it from, as the node does when a job is accepted. Returns its key."""
    with shelf.draft(f"picture-{FIRST}", {"frames": ("U8", (1, *picture.shape))}, {}) as draft:
        draft.add(picture.tobytes())
        draft.commit(durable=False)
    return FIRST
