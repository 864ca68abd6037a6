"""Clips that start from a picture or from an earlier clip: the frames are those of mlx-gen's own class where it can."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.videos.runtimes.conftest import worker_environment

pytestmark = pytest.mark.runtime

Json = dict[str, Any]
Generate = Callable[..., Json]
Run = Callable[..., str]

# Draws pictures and a clip, and puts what the worker reads on its shelf, by the program that the site calls.
DRAW = """
import sys
from pathlib import Path
import av
import numpy as np
from PIL import Image
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
grid = np.indices((64, 64)).transpose(1, 2, 0)
for number in (1, 2):
    pixels = np.dstack([grid[..., 0] * 3, grid[..., 1] * 2, np.full((64, 64), 90 * number)]).astype(np.uint8)
    Image.fromarray(pixels).save(folder / f"{number}.png")
with av.open(str(folder / "clip.mp4"), "w") as file:
    stream = file.add_stream("libx264", rate=8, options={"crf": "0"})
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    for number in range(17):
        pixels = np.roll(np.dstack([grid[..., 0] * 3, grid[..., 1] * 2, grid[..., 0]]), number * 2, axis=1)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24")))
    file.mux(stream.encode(None))
"""
COUNT = "import av, sys; print(sum(1 for _ in av.open(sys.argv[1]).decode(video=0)))"
# mlx-gen's own pipeline on the same files; the clip it is given is the decoded one, frame by frame.
BARE = """
import hashlib, json, sys
from pathlib import Path
from benchmarks import bare
model = bare.load(Path(sys.argv[1]))
changes = json.loads(sys.argv[2])
digest = hashlib.sha256()
for frame in bare.generate(model, "64x64x17", 4, **changes).frames:
    digest.update(frame.tobytes())
print(digest.hexdigest())
"""


def manifest(outcome: Json) -> Json:
    assert outcome["type"] == "done", outcome
    return dict(outcome["manifest"])


@pytest.fixture(scope="module")
def drawn(run_in_runtime: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    run_in_runtime("-c", DRAW, folder)
    return folder


class Stage:
    """What a test needs to make clips of one shelf: `ours` and `theirs` give the SHA-256 of the raw frames."""

    def __init__(self, drawn: Path, shelf: Path, python: Path, generate: Generate, run: Run) -> None:
        self.drawn, self.shelf, self._python, self._generate, self._run = drawn, shelf, python, generate, run

    def ingest(self, task: str, name: str, **changes: Any) -> str:
        """Put a drawn file on the shelf, by the program that the site calls. Its key."""
        self.shelf.mkdir(parents=True, exist_ok=True)
        size = {"width": 64, "height": 64, "most_pixels": 10**6, "most_frames": 100, "folder": str(self.shelf)}
        wanted = {**size, "task": task, "path": str(self.drawn / name), **changes}
        command = [str(self._python), "-m", "videos.runtimes.mlx_gen.ingest"]
        done = subprocess.run(
            command, input=json.dumps(wanted), env=worker_environment(), capture_output=True, text=True, check=True
        )
        return str(json.loads(done.stdout)["key"])

    def ours(self, folder: Path, **changes: Any) -> Json:
        shared = {"prompt": "a red ball", "seed": 1, "artifacts_dir": str(self.shelf), "model_dir": str(folder)}
        return manifest(self._generate(**shared, **changes))

    def theirs(self, folder: Path, **changes: Any) -> str:
        """By mlx-gen's own class, from the same files."""
        paths = {name: str(self.drawn / value) if "path" in name else value for name, value in changes.items()}
        return self._run("-c", BARE, folder, json.dumps(paths)).split()[-1]

    def run(self, *arguments: str | Path) -> str:
        return self._run(*arguments)


@pytest.fixture
def stage(drawn: Path, artifacts_dir: Path, runtime_python: Path, generate: Generate, run_in_runtime: Run) -> Stage:
    return Stage(drawn, artifacts_dir, runtime_python, generate, run_in_runtime)


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(request.param))


@pytest.mark.parametrize("folder", ["demo_ti2v", "demo_i2v"], indirect=True)
def test_a_picture_gives_the_frames_that_unmodified_mlx_gen_makes_of_it(folder: Path, stage: Stage) -> None:
    made = stage.ours(folder, picture=stage.ingest("picture", "1.png"))
    assert made["frames_sha256"] == stage.theirs(folder, image_path="1.png")
    assert list(made["steps_made"]) == ["encode", "condition", "denoise", "decode"]


def test_a_first_and_a_last_picture(demo_i2v: Path, stage: Stage) -> None:
    keys = {"picture": stage.ingest("picture", "1.png"), "last_picture": stage.ingest("picture", "2.png")}
    made = stage.ours(demo_i2v, **keys)
    assert made["frames_sha256"] == stage.theirs(demo_i2v, image_path="1.png", last_image_path="2.png")


def test_a_clip_is_made_anew_as_unmodified_mlx_gen_does(demo_model: Path, stage: Stage) -> None:
    key = stage.ingest("clip", "clip.mp4")
    made = stage.ours(demo_model, clip=key, strength=0.6)
    assert made["frames_sha256"] == stage.theirs(demo_model, video_path="clip.mp4", video_strength=0.6)
    assert stage.ours(demo_model, clip=key, strength=1.0)["frames_sha256"] != made["frames_sha256"]


@pytest.mark.parametrize("folder", ["demo_model", "demo_ti2v", "demo_i2v"], indirect=True)
def test_a_clip_goes_on_and_the_whole_is_one_file(folder: Path, stage: Stage, output_dir: Path) -> None:
    made = stage.ours(folder, clip=stage.ingest("clip", "clip.mp4"))
    video = output_dir / made["files"]["video"]["name"]
    head = 1 if folder.name.endswith("ti2v") else 5
    assert int(stage.run("-c", COUNT, video)) == 17 + 17 - head


def test_what_the_clip_was_to_start_from_is_gone(demo_ti2v: Path, generate: Generate) -> None:
    outcome = generate(model_dir=str(demo_ti2v), picture="0" * 64)
    assert (outcome["type"], outcome["code"]) == ("failed", "input_missing")


@pytest.mark.parametrize(
    ("folder", "way"),
    [
        ("demo_ti2v", {"picture": "1.png"}),
        ("demo_model", {"clip": "clip.mp4"}),
        ("demo_model", {"clip": "clip.mp4", "strength": 0.9}),
    ],
    indirect=["folder"],
)
def test_resumed_and_staged_the_frames_are_the_same(
    folder: Path, way: Json, stage: Stage, spec: Json, start_worker: Callable[[], Any]
) -> None:
    given = {name: stage.ingest(name, value) if isinstance(value, str) else value for name, value in way.items()}
    long = spec | given | {"model_dir": str(folder), "steps": 8, "checkpoint_steps": 2, "stay": True}
    own = stage.shelf.with_name("resumed")
    shutil.copytree(stage.shelf, own)
    worker = start_worker()
    worker.send("start", spec=long | {"artifacts_dir": str(own)})
    worker.until_phase("denoising", 3)
    worker.send("abort")
    worker.outcome()
    worker = start_worker()
    worker.send("start", spec=long | {"artifacts_dir": str(own)})
    resumed = manifest(worker.outcome())
    assert any(message.get("phase") == "resumed" for message in worker.messages)
    for step in ("encode", "condition", "denoise", "decode", "mux"):
        worker.send("start", spec=long | {"step": step})
        staged = manifest(worker.outcome())
    assert staged["frames_sha256"] == resumed["frames_sha256"]
