"""Clips from the shipped demo models, made by the real worker."""

import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo_models import shipped
from demo_models.grammar import Clip
from tests.videos.runtimes.conftest import Worker, run_in_runtime, runtime_home, runtime_python

__all__ = ["run_in_runtime", "runtime_home", "runtime_python"]

WORKERS = 2  # the smallest machine that the suite is meant for has two cores
LEASE_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class Ask:
    """A prompt, and what its clip ought to show."""

    clip: Clip
    prompt: str
    seed: int


@dataclass(frozen=True)
class Answer:
    ask: Ask
    seen: dict[str, str | None]

    def is_right(self, fact: str) -> bool:
        return bool(self.seen[fact] == getattr(self.ask.clip, fact))


Film = Callable[[Path, Sequence[Ask]], list[Answer]]


@pytest.fixture(scope="session")
def film(
    runtime_python: Path, run_in_runtime: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Film]:
    """Let the worker make a clip for each prompt, with the folder's own defaults, and look at the finished videos."""
    root, numbers = tmp_path_factory.mktemp("clips"), itertools.count()

    def make(model: Path, ask: Ask) -> Path:
        folder = root / str(next(numbers))
        folder.mkdir()
        worker = Worker(runtime_python, folder / "log")
        try:
            worker.send("start", spec=_spec(model, ask, folder))
            outcome = worker.outcome()
        finally:
            worker.close()
        assert outcome["type"] == "done", outcome
        return folder / str(outcome["manifest"]["files"]["video"]["name"])

    def run(model: Path, asks: Sequence[Ask]) -> list[Answer]:
        with ThreadPoolExecutor(WORKERS) as pool:
            videos = list(pool.map(lambda ask: make(model, ask), asks))
        lines = run_in_runtime("-m", "demo_models.look", *videos).splitlines()
        return [Answer(ask, json.loads(line)) for ask, line in zip(asks, lines, strict=True)]

    yield run
    shutil.rmtree(root)


@pytest.fixture(scope="session", params=shipped.names())
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shipped demo model, installed as `manage.py makedemo` does it."""
    folder = tmp_path_factory.mktemp("models") / str(request.param)
    shipped.install(folder.name, folder)
    return folder


def _spec(model: Path, ask: Ask, folder: Path) -> dict[str, Any]:
    defaults = json.loads((model / "fmlx.json").read_text())["defaults"]
    width, height = (int(side) for side in defaults.pop("size").split("x"))
    fixed = {"model_dir": str(model), "output_dir": str(folder), "lease_bytes": LEASE_BYTES}
    return {**defaults, **fixed, "width": width, "height": height, "prompt": ask.prompt, "seed": ask.seed}
