"""Run in the worker environment: one clip with unmodified mlx-gen and our text encoder, as a script would make it.

`python -m benchmarks.bare MODEL OUT SHAPE STEPS`; prints seconds as JSON: `import`, `load`, `rest` and, from the
process's first line to its last, `wall`.
"""

import time

BEGAN = time.monotonic()

import json  # noqa: E402
import sys  # noqa: E402
import types  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

# mlx-gen imports this where it resolves a path and does not call for a local folder; the worker environment has none.
for absent, names in {"huggingface_hub": ["snapshot_download"]}.items():
    sys.modules[absent] = types.ModuleType(absent)
    for name in names:
        setattr(sys.modules[absent], name, None)

import av  # noqa: E402, F401 - mlx-gen imports it, and the two below, in the middle of its work
import mlx.core as mx  # noqa: E402
import PIL.Image  # noqa: E402, F401
from mflux.models.common.config.model_config import ModelConfig  # noqa: E402
from mflux.models.common.tokenizer import TokenizerLoader  # noqa: E402
from mflux.models.wan import Wan2_2_TI2V  # noqa: E402
from mflux.utils.video_util import VideoUtil  # noqa: E402, F401

from videos.runtimes.mlx_gen import architecture, mlxgen  # noqa: E402
from videos.runtimes.mlx_gen.checkpoint import Checkpoint  # noqa: E402
from videos.runtimes.mlx_gen.prompts import PromptEncoder  # noqa: E402


def main() -> None:
    imported = time.monotonic()
    model = load(Path(sys.argv[1]))
    loaded = time.monotonic()
    generate(model, sys.argv[3], int(sys.argv[4])).save(sys.argv[2])
    ended = time.monotonic()
    seconds = {"import": imported - BEGAN, "load": loaded - imported, "rest": ended - loaded, "wall": ended - BEGAN}
    sys.stdout.write(json.dumps(seconds))


def load(model_dir: Path) -> Wan2_2_TI2V:
    mx.set_default_device(mx.cpu if not (mx.metal.is_available() or mx.cuda.is_available()) else mx.gpu)
    mx.disable_compile()
    ModelConfig.precision = mx.float32
    checkpoint = Checkpoint(model_dir)
    text = PromptEncoder(checkpoint, clean=mlxgen.clean_prompt)

    class Bare(Wan2_2_TI2V):
        """mlx-gen's own class; only the text encoder, which would need torch, is ours."""

        def encode_prompt(
            self, prompt: str, negative_prompt: str | None, do_classifier_free_guidance: bool, **_: Any
        ) -> Any:
            texts = [prompt, negative_prompt or ""] if do_classifier_free_guidance else [prompt]
            state, _truncated = text.encode(texts, 512, lambda _done: None)
            embeds = state.astype(mx.float32)
            mx.eval(embeds)
            return embeds[0:1], embeds[1:2] if do_classifier_free_guidance else None

    TokenizerLoader.load_all = staticmethod(lambda *_given, **_named: {})  # ours tokenises
    config = architecture.model_config(checkpoint)
    model = Bare(model_config=config, model_path=str(model_dir), prompt_embed_disk_cache=False)
    mx.eval(model.parameters())  # mlx-gen reads weights at their first use; the worker reads them while it loads
    return model


def generate(model: Wan2_2_TI2V, shape: str, steps: int, **more: Any) -> Any:
    """mlx-gen's GeneratedVideo, whose frames are decoded when they are taken."""
    width, height, frames = (int(part) for part in shape.split("x"))
    return model.generate_video(
        seed=1,
        prompt="a red ball",
        num_inference_steps=steps,
        height=height,
        width=width,
        num_frames=frames,
        fps=8,
        release_inactive_denoiser=True,
        release_denoisers_before_decode=True,
        clear_cache_each_step=True,
        clear_cache_each_transformer_block=True,
        **more,
    )


if __name__ == "__main__":
    main()
