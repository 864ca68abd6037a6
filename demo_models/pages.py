"""python -m demo_models.pages [FOLDER]: what the shipped demo models say and draw, as pages in docs/demo-models."""

import subprocess
import sys
from pathlib import Path

from demo_models import shipped
from memory import environments
from memory.allowlist import worker_environment

HOME = environments.ROOT / ".make" / "test-home"
FOLDER = environments.ROOT / "docs" / "demo-models"
PAGES = {
    "demo-chat": ("mlx-lm", "demo_models.transcript", "demo-chat.md"),
    "demo-hybrid": ("mlx-lm", "demo_models.transcript", "demo-hybrid.md"),
    "demo-swa": ("mlx-lm", "demo_models.transcript", "demo-swa.md"),
    "demo-video": ("mlx-gen", "demo_models.sheet", "demo-video.webp"),
    "demo-video-5b": ("mlx-gen", "demo_models.sheet", "demo-video-5b.webp"),
    "demo-video-i2v": ("mlx-gen", "demo_models.sheet", "demo-video-i2v.webp"),
}


def main() -> int:
    folder = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for name, (runtime, module, page) in PAGES.items():
        python = environments.build(HOME, runtime)
        run_alone(python, module, shipped.WEIGHTS / name, folder / page, at=folder)
        sys.stdout.write(f"{folder / page}\n")
    return 0


def run_alone(python: Path, module: str, *arguments: str | Path, at: Path) -> None:
    """One core: the sums of several threads come in another order each time."""
    environment = worker_environment(at, {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}, {})
    subprocess.run(
        [str(python), "-m", module, *map(str, arguments)], env=environment, check=True, cwd=environments.ROOT
    )


if __name__ == "__main__":
    sys.exit(main())
