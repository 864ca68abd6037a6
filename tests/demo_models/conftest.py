"""Clips from the shipped demo models, made through the HTTP API of a real server."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo_models import shipped
from demo_models.grammar import Clip
from tests.house import Client, copy_house, open_house
from tests.videos.runtimes.conftest import run_in_runtime, runtime_home, runtime_python

__all__ = ["run_in_runtime", "runtime_home", "runtime_python"]

WORKERS = {"FMLX_VIDEO_WORKERS": "2"}  # the smallest machine that the suite is meant for has two cores
CONTINUES = "demo-video-i2v"  # makes nothing of a prompt alone
VIDEOS = [name for name in shipped.names() if name.startswith("demo-video") and name != CONTINUES]


@dataclass(frozen=True)
class Ask:
    """A prompt, what its clip ought to show, and the first picture if it starts from one."""

    clip: Clip
    prompt: str
    seed: int
    picture: Path | None = None


@dataclass(frozen=True)
class Answer:
    ask: Ask
    seen: dict[str, str | None]
    file: Path

    def is_right(self, fact: str) -> bool:
        return bool(self.seen[fact] == getattr(self.ask.clip, fact))


Film = Callable[[str, Sequence[Ask]], list[Answer]]


@pytest.fixture(scope="module")
def server(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with open_house(copy_house(template, tmp_path_factory.mktemp("cinema") / "home"), env=WORKERS) as client:
        yield client


@pytest.fixture(scope="module")
def film(server: Client, run_in_runtime: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Film:
    """Ask the server for a clip of each prompt, with the model's own defaults, and look at what it sends back."""
    root = tmp_path_factory.mktemp("clips")

    def order(model: str, ask: Ask) -> str:
        body = {"model": model, "prompt": ask.prompt, "seed": ask.seed}
        if ask.picture:
            body["input_reference"] = base64.b64encode(ask.picture.read_bytes()).decode()
        return str(server.read("POST", "/v1/videos", json=body)["id"])

    def collect(video: str) -> Path:
        ended = server.until(video, "completed", "failed", timeout=240)
        assert ended["status"] == "completed", ended["error"]
        file = root / f"{video}.mp4"
        file.write_bytes(server.get(f"/v1/videos/{video}/content").content)
        return file

    def run(model: str, asks: Sequence[Ask]) -> list[Answer]:
        files = [collect(video) for video in [order(model, ask) for ask in asks]]
        lines = run_in_runtime("-m", "demo_models.look", *files).splitlines()
        return [Answer(ask, json.loads(line), file) for ask, line, file in zip(asks, lines, files, strict=True)]

    return run


@pytest.fixture(scope="module", params=VIDEOS)
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)
