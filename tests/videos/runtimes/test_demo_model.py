"""The demo checkpoints: the same bytes every time, and nothing of the user's is ever overwritten."""

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.runtime

Run = Callable[..., str]

# mlx-gen's own classes, none of ours: what any program built on mlx-gen would do with the folder.
LOAD = """
import sys
from pathlib import Path
from mflux.models.wan import Wan2_2_TI2V
from videos.runtimes.mlx_gen.architecture import model_config
from videos.runtimes.mlx_gen.checkpoint import Checkpoint
folder = Path(sys.argv[1])
config = model_config(Checkpoint(folder))
model = Wan2_2_TI2V(model_path=str(folder), model_config=config, prompt_embed_disk_cache=False)
size = {"width": 64, "height": 64, "num_frames": 17, "fps": 8}
video = model.generate_video(seed=1, prompt="a red cat", num_inference_steps=2, **size)
print(len(video.frames), video.width, video.height)
"""


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return found.hexdigest()


@pytest.mark.parametrize("kind", ["t2v", "ti2v"])
def test_it_has_the_same_bytes_every_time(run_in_runtime: Run, tmp_path: Path, kind: str) -> None:
    for name in ("first", "second"):
        run_in_runtime("-m", "videos.runtimes.mlx_gen.demo", tmp_path / name, "--kind", kind)
    assert digest(tmp_path / "first") == digest(tmp_path / "second")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "second"], "no temporary folder is left"
    assert sum(path.stat().st_size for path in (tmp_path / "first").rglob("*")) < 6_000_000


def test_making_it_again_changes_nothing(run_in_runtime: Run, demo_model: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo_model.rglob("*")}
    said = run_in_runtime("-m", "videos.runtimes.mlx_gen.demo", demo_model)
    assert "was there already" in said
    assert {path: path.stat().st_mtime_ns for path in demo_model.rglob("*")} == before


def test_a_demo_of_an_older_recipe_is_made_again(run_in_runtime: Run, broken_model: Path, demo_model: Path) -> None:
    (broken_model / "fmlx-demo.json").write_text('{"recipe": 0, "kind": "t2v"}')
    (broken_model / "vae" / "config.json").unlink()
    run_in_runtime("-m", "videos.runtimes.mlx_gen.demo", broken_model)
    assert digest(broken_model) == digest(demo_model)


def test_a_folder_of_the_users_is_left_alone(runtime_python: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "weights.bin").write_bytes(b"precious")
    done = subprocess.run(
        [str(runtime_python), "-m", "videos.runtimes.mlx_gen.demo", str(tmp_path / "mine")],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": os.fspath(Path(__file__).parents[3]), "PATH": os.environ["PATH"]},
        check=False,
    )
    assert done.returncode == 1
    assert "is not a demo model" in done.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "weights.bin"]


@pytest.mark.torch
@pytest.mark.skipif(not os.environ.get("FMLX_TORCH_PYTHON"), reason="FMLX_TORCH_PYTHON names no Python with torch")
@pytest.mark.parametrize("kind", ["demo_model", "demo_ti2v"])
def test_it_runs_in_mlx_gens_own_unmodified_class(kind: str, request: pytest.FixtureRequest) -> None:
    environment = {"PYTHONPATH": os.fspath(Path(__file__).parents[3]), "HF_HUB_OFFLINE": "1", **os.environ}
    command = [os.environ["FMLX_TORCH_PYTHON"], "-c", LOAD, str(request.getfixturevalue(kind))]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "17 64 64"
