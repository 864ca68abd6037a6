"""Making clips one after another in this process, with the worker's own pipeline and a demo model's own defaults."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from videos.runtimes.mlx_gen import limits, mlxgen
from videos.runtimes.mlx_gen.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.phases import Phases
from videos.runtimes.mlx_gen.pipeline import Wan
from videos.runtimes.mlx_gen.spec import Spec

LEASE_BYTES = 4 * 1024**3


class Unwatched(Phases):
    """Progress that nobody follows."""

    def __init__(self) -> None:
        self.seconds = {}

    def begin(self, phase: str, total_steps: int) -> None:
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
        limits.apply(LEASE_BYTES, low_ram=False)

    def clip(self, prompt: str, seed: int) -> np.ndarray:
        """Frames uint8 [F, H, W, 3]."""
        spec = Spec(
            model_dir=self._folder,
            prompt=prompt,
            seed=seed,
            output_dir=self._folder,  # nothing is written
            lease_bytes=LEASE_BYTES,
            low_ram=False,
            **self._settings,
        )
        video = Wan(Checkpoint(self._folder), Unwatched()).generate(spec)
        return np.stack([np.asarray(frame) for batch in mlxgen.frame_batches(video) for frame in batch])
