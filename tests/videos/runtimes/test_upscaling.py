"""Upscaling on the real worker, with a tiny SeedVR2 checkpoint: size, frames, tiles, chunks, colours, failures."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videos.runtimes.mlx_gen.artifacts import Shelf

pytestmark = pytest.mark.runtime

Json = dict[str, Any]
SIDE = 32
RED, BLUE = (200, 40, 40), (40, 40, 200)


@pytest.fixture(scope="session")
def upscaler(run_in_runtime: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny-upscaler"
    run_in_runtime("-m", "videos.runtimes.mlx_gen.upscale.demo", folder)
    return folder


@pytest.fixture
def upscale(upscaler: Path, start_worker: Callable[[], Any], tmp_path: Path) -> Callable[..., tuple[Any, Json]]:
    """Run one worker to its end; it, and its last message."""

    def run(colours: Json, **changes: Any) -> tuple[Any, Json]:
        places = {"output_dir": str(tmp_path / "output"), "artifacts_dir": str(tmp_path / "artifacts")}
        parts = [{"name": name, "first": 0, "end": count} for name, count in colours.items()]
        spec = {
            **places,
            "model_dir": str(upscaler),
            "step": "upscale",
            "parts": parts,
            "lease_bytes": 4 * 1024**3,
            "width": SIDE,
            "height": SIDE,
            "fps": 8,
            "seed": 1,
            "factor": 2,
            "tile": 512,
            "overlap": 64,
            "chunk": 49,
            "context": 16,
        }
        worker = start_worker()
        worker.send("start", spec=spec | changes)
        return worker, worker.outcome()

    return run


@pytest.fixture
def raw(tmp_path: Path) -> Callable[..., str]:
    """Frames of one colour on the shelf; their name there."""
    shelf = Shelf(tmp_path / "artifacts", tmp_path / "drafts")

    def put(name: str, count: int, colour: tuple[int, int, int]) -> str:
        with shelf.draft(f"frames-{name}", {"frames": ("U8", (count, SIDE, SIDE, 3))}, {}) as draft:
            draft.add(bytes(colour) * (count * SIDE * SIDE))
            return draft.commit().name

    return put


READ = """
import json, sys, av
with av.open(sys.argv[1]) as container:
    frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
print(json.dumps([[*frame.shape, float(frame[..., 0].mean() - frame[..., 2].mean())] for frame in frames]))
"""


def test_a_clip_becomes_twice_as_large_and_keeps_its_frames_and_its_colours(
    upscale: Callable[..., Any], raw: Callable[..., str], run_in_runtime: Callable[..., str], tmp_path: Path
) -> None:
    worker, done = upscale({raw("a", 3, RED): 3, raw("b", 3, BLUE): 3})
    assert done["type"] == "done", done
    made = done["manifest"]
    assert (made["width"], made["height"], made["frames"], made["family"]) == (64, 64, 6, "seedvr2-3b")
    assert worker.events() == [("upscaling", 0, 1), ("upscaling", 1, 1)]
    frames = json.loads(run_in_runtime("-c", READ, tmp_path / "output" / "upscaled.mp4"))
    assert [frame[:3] for frame in frames] == [[64, 64, 3]] * 6
    redder = [frame[3] for frame in frames]
    assert all(more > 60 for more in redder[:3]), redder
    assert all(more < -60 for more in redder[3:]), redder
    assert [path.name for path in (tmp_path / "output").iterdir()] == ["upscaled.mp4"]


def test_tile_after_tile_and_chunk_after_chunk_give_every_frame_once_and_the_same_ones_again(
    upscale: Callable[..., Any], raw: Callable[..., str]
) -> None:
    small = {"tile": 48, "overlap": 16, "chunk": 5, "context": 0}
    frames = {raw("a", 7, RED): 7}
    made = []
    for _ in range(2):
        worker, done = upscale(frames, **small)
        assert done["type"] == "done", done
        made.append(done["manifest"])
        assert worker.events()[-1] == ("upscaling", 8, 8)  # 2 x 2 tiles of 2 chunks
    assert made[0]["frames"] == 7
    assert made[0]["files"]["upscaled"]["sha256"] == made[1]["files"]["upscaled"]["sha256"]


def test_what_is_not_there_and_what_does_not_fit_is_said(
    upscale: Callable[..., Any], raw: Callable[..., str], upscaler: Path, tmp_path: Path
) -> None:
    _, gone = upscale({"frames-none": 3})
    assert (gone["code"], "raw frames" in gone["message"]) == ("artifact_missing", True)
    folder = Path(shutil.copytree(upscaler, tmp_path / "lacking"))
    weights = folder / "ema_vae_fp16.safetensors"
    weights.write_bytes(without(weights.read_bytes(), "decoder.conv_out.weight"))
    _, lacking = upscale({raw("a", 1, RED): 1}, model_dir=str(folder))
    assert (lacking["code"], "decoder.conv_out.weight" in lacking["message"]) == ("model_invalid", True)
    assert not list((tmp_path / "output").iterdir())


def without(file: bytes, name: str) -> bytes:
    """A safetensors file with a weight's name spoilt."""
    length = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + length])
    header[name.replace("conv", "camp")] = header.pop(name)
    text = json.dumps(header, separators=(",", ":")).encode().ljust(length)
    return length.to_bytes(8, "little") + text + file[8 + length :]


def test_the_larger_family_is_loaded_by_its_own_rules(
    upscale: Callable[..., Any], raw: Callable[..., str], run_in_runtime: Callable[..., str], tmp_path: Path
) -> None:
    run_in_runtime("-m", "videos.runtimes.mlx_gen.upscale.demo", tmp_path / "7b", "--family", "seedvr2-7b")
    _, done = upscale({raw("a", 1, RED): 1}, model_dir=str(tmp_path / "7b"))
    assert (done["type"], done.get("manifest", {}).get("family")) == ("done", "seedvr2-7b"), done


def test_tiles_cover_a_picture_and_their_edges_fade_into_one_another(run_in_runtime: Callable[..., str]) -> None:
    script = """
import numpy as np
from videos.runtimes.mlx_gen.upscale.tiles import Canvas, tiles
places = tiles(96, 160, 64, 16)
print([(one.left, one.right) for one in places][:3], len(places))
even, split = Canvas(1, 96, 160, 16), Canvas(1, 96, 160, 16)
for tile in places:
    shape = (1, tile.bottom - tile.top, tile.right - tile.left, 3)
    even.add(tile, np.full(shape, 0.5, np.float32))
    split.add(tile, np.full(shape, 1.0 if tile.left else -1.0, np.float32))
(flat,), (row,) = even.frames(0, 1), split.frames(0, 1)
print(sorted(set(flat.flatten().tolist())), int(np.abs(np.diff(row[0, :, 0].astype(int))).max()) < 40)
"""
    assert run_in_runtime("-c", script).splitlines() == ["[(0, 64), (48, 112), (96, 160)] 6", "[191] True"]
