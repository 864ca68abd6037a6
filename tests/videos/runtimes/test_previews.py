"""The clip as it forms: a small moving picture that looks like what comes of it, and costs the work nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memory.environments import ROOT

pytestmark = pytest.mark.runtime

Json = dict[str, Any]
SHIPPED = ROOT / "demo_models" / "weights" / "demo-video"
# How the map's picture of the last latents and the last frame that was decoded from them agree, at 16x16.
COMPARE = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
from videos.runtimes.mlx_gen import arrays, lookout
from videos.runtimes.mlx_gen.artifacts import Shelf
from videos.runtimes.mlx_gen.colours import Colours
shelf, [colours] = Shelf(Path(sys.argv[1]), Path(sys.argv[1])), Path(sys.argv[2]).iterdir()
latents = np.array(arrays.of(shelf.read(*shelf.named("latents")))["latents"])[0, :, -1]
shown = lookout._picture(latents, Colours(colours.parent, colours.stem.removeprefix("colours-")).map())
frame = Image.frombytes("RGB", (64, 64), shelf.read(*shelf.named("frames")).bytes("frames")[-64 * 64 * 3:])
pixels = [np.asarray(one.resize((16, 16)), float).ravel() for one in (shown, frame)]
print(np.corrcoef(*pixels)[0, 1])
"""
LOOK = """
import json, sys
from PIL import Image
preview = Image.open(sys.argv[1])
print(json.dumps([preview.format, preview.n_frames, *preview.size]))
"""


def previewed(worker: Any) -> list[int]:
    return [message["number"] for message in worker.messages if message.get("phase") == "preview"]


def test_previews_look_like_the_clip_once_the_vae_has_decoded_one_and_change_nothing(
    start_worker: Callable[[], Any], run_in_runtime: Callable[..., str], spec: Json, tmp_path: Path
) -> None:
    previews, folders = tmp_path / "previews", [tmp_path / name for name in ("first", "second", "without")]
    asked = {**spec, "model_dir": str(SHIPPED), "steps": 6, "stay": True, "verify": False}
    watched = {**asked, "previews_dir": str(previews)}
    worker = start_worker()
    worker.send("start", spec={**watched, "artifacts_dir": str(folders[0]), "prompt": "a red ball rolls to the right"})
    assert worker.outcome()["manifest"]["previews"]["made"] == 0
    again = {"prompt": "a green square on a blue wall", "seed": 8}
    worker.send("start", spec={**watched, **again, "artifacts_dir": str(folders[1])})
    made = worker.outcome()["manifest"]
    assert made["previews"]["made"] == len(previewed(worker)) >= 1
    assert float(run_in_runtime("-c", COMPARE, folders[1], previews)) > 0.6
    [embeds] = folders[1].glob("embeds-*")
    folders[2].mkdir()
    shutil.copy(embeds, folders[2])
    worker.send("start", spec={**asked, **again, "artifacts_dir": str(folders[2]), "step": "denoise"})
    assert worker.outcome()["manifest"]["steps_made"]["denoise"] == made["steps_made"]["denoise"]


def test_a_preview_is_a_small_moving_picture_renewed_while_it_is_denoised_and_gone_after(
    start_worker: Callable[[], Any], run_in_runtime: Callable[..., str], spec: Json, output_dir: Path, tmp_path: Path
) -> None:
    watched = {**spec, "previews_dir": str(tmp_path / "previews"), "stay": True}
    worker = start_worker()
    worker.send("start", spec=watched)
    worker.outcome()
    worker.send("start", spec={**watched, "steps": 5000, "seed": 8})
    worker.until(lambda message: message.get("phase") == "preview" and message["number"] == 2)
    kept = (output_dir / "preview.webp").rename(tmp_path / "preview.webp")
    worker.send("stop")
    assert worker.outcome()["code"] == "aborted"
    assert previewed(worker)[:2] == [1, 2]
    assert list(output_dir.glob("*preview*")) == []
    assert json.loads(run_in_runtime("-c", LOOK, kept)) == ["WEBP", 5, 192, 192]


def test_a_map_that_cannot_be_read_is_learned_anew(generate: Callable[..., Json], tmp_path: Path) -> None:
    folder = tmp_path / "previews"
    assert generate(previews_dir=str(folder))["type"] == "done"
    [colours] = folder.iterdir()
    colours.write_text("{")
    assert generate(previews_dir=str(folder))["manifest"]["previews"]["made"] == 0
    assert json.loads(colours.read_text())["clips"] == 1
    assert generate(previews_dir=str(folder))["manifest"]["previews"]["made"] >= 1
