"""The encoders that read a first picture: what is trained is what mlx-gen runs."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.videos.runtimes.conftest import run_in_runtime, runtime_home, runtime_python

__all__ = ["run_in_runtime", "runtime_home", "runtime_python"]

pytestmark = pytest.mark.runtime
# After two steps every weight that learns has left its start value.
MADE = """
import sys
from pathlib import Path
from types import SimpleNamespace
import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from demo_models import latents, layouts, picture_lesson, vae_encoder
from demo_models.checkpoint import Folder
from demo_models.grammar import CLIPS
from demo_models.scene import FRAMES, Scene
from videos.runtimes.mlx_gen import mlxgen

mx.set_default_device(mx.cpu)
layout = getattr(layouts, sys.argv[1])
vae = Folder(Path(sys.argv[2]), layout).module("vae")
params = vae_encoder.train(vae, layout, np.zeros(latents.CHANNELS), np.ones(latents.CHANNELS), steps=2)
vae.load_weights(list((dict(tree_flatten(vae.parameters())) | vae_encoder.stored(vae, params)).items()))
scenes = [Scene.sample(clip, np.random.default_rng(1)) for clip in CLIPS[:3]]
frames = mx.array(np.stack([scene.frames()[0] for scene in scenes]))
"""
SAME = (
    MADE
    + """
ours = vae_encoder.encode(layout, params, frames)
theirs = vae.encode_normalized(frames.transpose(0, 3, 1, 2)[:, :, None])[:, :, 0].transpose(0, 2, 3, 1)
print(float(mx.abs(ours - theirs).max()), float(ours.std()), float(mx.abs(ours[0] - ours[1]).max()))
"""
)
CONDITION = (
    MADE
    + """
given = picture_lesson.Given.of(layout, params, SimpleNamespace(scenes=scenes))
count = (FRAMES - 1) // 4 + 1
nothing = [mx.zeros((1, 3, 4, *frames.shape[1:3]))] * (count - 1)
for number, frame in enumerate(frames):
    found = mlxgen.encode_video(vae, [frame.transpose(2, 0, 1)[None, :, None], *nothing], clear_cache=False)
    mask = mlxgen.condition_mask(vae, FRAMES, found.shape, head=1, last=False)
    theirs = mx.concatenate([mask[:, :, :count], found], axis=1)
    ours = given.beside(np.array([number]), count)
    assert ours.shape == theirs.shape == (1, 20, 5, 8, 8)
    assert mx.abs(ours - theirs).max() < 1e-4, number
print("the same")
"""
)


@pytest.mark.parametrize("layout", ["DEMO_VIDEO_5B", "DEMO_VIDEO_I2V"])
def test_what_is_trained_is_what_the_vae_encodes(
    layout: str, run_in_runtime: Callable[..., str], tmp_path: Path
) -> None:
    away, spread, between = map(float, _last_line(run_in_runtime("-c", SAME, layout, tmp_path / "model")).split())
    assert away < 1e-4
    assert spread > 0.1
    assert between > 0.01, "two pictures are told apart"


def test_the_experts_are_taught_with_what_the_pipeline_shows_them(
    run_in_runtime: Callable[..., str], tmp_path: Path
) -> None:
    said = run_in_runtime("-c", CONDITION, "DEMO_VIDEO_I2V", tmp_path / "model")
    assert _last_line(said) == "the same"


def _last_line(text: str) -> str:
    return text.splitlines()[-1]
