"""The command line that all training programs have."""

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx

from demo_models.progress import say


@dataclass(frozen=True, slots=True)
class Command:
    """Where a checkpoint is written, and the share of the full number of steps that it is trained for."""

    name: str
    folder: Path
    share: float

    @classmethod
    def read(cls, name: str, start: str = "nothing") -> "Command":
        """Of this process. From then on MLX computes where and how the same bytes come out each time."""
        parser = argparse.ArgumentParser(description=f"Train {name} from {start}.")
        parser.add_argument("folder", type=Path, help="where the checkpoint is written")
        parser.add_argument("--share", type=float, default=1.0, help="of the full number of steps, for a quick trial")
        options = parser.parse_args()
        mx.set_default_device(mx.cpu)  # other devices add in another order, and the bytes would differ
        if shutil.which("g++") is None:
            mx.disable_compile()  # MLX compiles fused CPU kernels with it and fails without
        return cls(name, options.folder.absolute(), options.share)

    def steps(self, count: int) -> int:
        return max(1, round(count * self.share))

    def end(self) -> int:
        size = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        say(f"{self.name} is in {self.folder}: {size / 1e6:.1f} MB")
        return 0
