"""What a clip is when nothing disturbs the worker that makes it, to compare what was killed and paused with."""

import json
from pathlib import Path
from typing import Any

from memory.environments import runtime_python
from tests.house import SHAPE
from tests.videos.runtimes.conftest import Worker

KNOBS = ("guidance_scale", "guidance_scale_2", "flow_shift")
LEASE_BYTES = 4 * 1024**3


class Undisturbed:
    """One worker that stays, with a folder of its own for each clip, so that nothing is found and used again."""

    def __init__(self, home: Path, folder: Path) -> None:
        self._model, self._folder = home / "models" / SHAPE["model"], folder
        self._worker = Worker(runtime_python(home, "mlx-gen"), folder / "worker.log")
        known = self._model / "fmlx.json"
        defaults = json.loads(known.read_text())["defaults"] if known.is_file() else {}
        self._knobs = {name: value for name, value in defaults.items() if name in KNOBS}
        self._made = 0

    def frames(self, seed: int, shape: dict[str, Any]) -> str:
        """The SHA-256 of the raw frames."""
        self._made += 1
        width, height = (int(side) for side in shape["size"].split("x"))
        where = self._folder / str(self._made)
        spec = {name: shape[name] for name in ("frames", "steps", "fps")} | self._knobs
        spec |= {"width": width, "height": height, "seed": seed, "prompt": SHAPE["prompt"], "lease_bytes": LEASE_BYTES}
        spec |= {"output_dir": str(where / "out"), "artifacts_dir": str(where), "stay": True}
        self._worker.send("start", spec={**spec, "model_dir": str(self._model)})
        return str(self._worker.outcome()["manifest"]["frames_sha256"])

    def close(self) -> None:
        self._worker.close()
