"""python -m demo_models.pages [FOLDER]: what the shipped demo models say and draw, as pages in docs/demo-models."""

import subprocess
import sys
from pathlib import Path

from demo_models import shipped
from memory import environments
from memory.allowlist import worker_environment

HOME = environments.ROOT / ".make" / "test-home"
FOLDER = environments.ROOT / "docs" / "demo-models"
ONE_CORE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
# MLX asks glibc for each array anew, and glibc gives large ones back to the system, which clears them again page by
# page: 44 of 101 CPU seconds of a fiftieth of demo-video's training, and 4 of 56 where they are kept in one heap of
# 2 MiB pages, with the same bytes (x86_64, 2 cores, glibc 2.36, 2026-12-01). Elsewhere nobody reads it.
KEPT = 8 * 1024**3  # bytes: more than any of them needs
TUNABLES = ":".join(
    f"glibc.malloc.{name}={value}"
    for name, value in {"arena_max": 1, "mmap_max": 0, "trim_threshold": KEPT, "top_pad": 2**26, "hugetlb": 1}.items()
)
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
    """One core: the sums of several threads come in another order each time. Memory that is freed is kept (see
    TUNABLES)."""
    environment = worker_environment(at, ONE_CORE | {"GLIBC_TUNABLES": TUNABLES}, {})
    subprocess.run(
        [str(python), "-m", module, *map(str, arguments)], env=environment, check=True, cwd=environments.ROOT
    )


if __name__ == "__main__":
    sys.exit(main())
