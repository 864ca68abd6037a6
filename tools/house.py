"""What is made inside FMLX_HOME before the first start: the worker environments, the database, a model, an operator."""

import os
from collections.abc import Iterator
from pathlib import Path

from tools.console import Step, command, succeeds
from tools.places import PYTHON, home

RUNTIMES = ("mlx-gen", "mlx-lm")
MODEL_MARKERS = ("model_index.json", "config.json")
MODEL_DEPTH = 4  # a hub cache: models--org--name / snapshots / commit


def worker_environments(home_dir: Path) -> list[Step]:
    return [_worker_environment(home_dir, runtime) for runtime in RUNTIMES]


def _worker_environment(home_dir: Path, runtime: str) -> Step:
    built = "import sys; from pathlib import Path; from memory.environments import is_built; "
    check = f"{built}sys.exit(not is_built(Path(sys.argv[1]), sys.argv[2]))"
    return Step(
        f"Worker environment {runtime}",
        lambda: command(
            [PYTHON, "manage.py", "buildworker", runtime, "--skip-checks"], env={"FMLX_HOME": str(home_dir)}
        ),
        lambda: succeeds(PYTHON, "-c", check, home_dir, runtime),
    )


def migrations() -> Step:
    return Step(
        "Database",
        lambda: command([PYTHON, "manage.py", "migrate", "--no-input"]),
        lambda: succeeds(PYTHON, "manage.py", "migrate", "--check"),
    )


def demo_models() -> Step:
    return Step("Demo models", lambda: command([PYTHON, "manage.py", "makedemo"]), _has_model)


def credentials() -> Step:
    """The operator and the first key: shown once, so its lines stay on the screen."""
    return Step(
        "Operator and key",
        lambda: command([PYTHON, "manage.py", "firststart"], lasting=True),
        (home() / "credentials.json").exists,
    )


def _has_model() -> bool:
    """Or an owner who removed the demos and does not want them back (`demo_models.shipped.AWAY`)."""
    folders = [home() / "models"]
    if (folders[0] / ".no-demos").exists():
        return True
    folders += [Path(part).expanduser() for part in os.environ.get("FMLX_MODEL_DIRS", "").split(":") if part]
    return any(True for folder in folders for _ in _models(folder, MODEL_DEPTH))


def _models(folder: Path, depth: int) -> Iterator[Path]:
    if not folder.is_dir() or folder.name.startswith("."):
        return
    if any((folder / marker).is_file() for marker in MODEL_MARKERS):
        yield folder
    elif depth:
        for child in sorted(folder.iterdir()):
            yield from _models(child, depth - 1)
