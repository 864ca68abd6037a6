"""The encoder of a demo model that starts from a picture: trained to find a scene's designed latents in its pixels.

It is trained as what it is used for, a network of a video's first frame: of every causal kernel only the tap of the
present is not zero. What comes after a first frame it cannot encode.
"""

import math
from functools import partial

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten

from demo_models import latents
from demo_models.adam import Adam
from demo_models.encoder_plan import COUNT, MID, START, Block, blocks, emphasis, is_written
from demo_models.grammar import TRAINED
from demo_models.layouts import Layout
from demo_models.progress import Progress, learning_rate
from demo_models.scene import FRAMES, Scene

SEED = 7
PEAK, WARMUP = 4e-3, 50
SHIFTED, ANYWHERE = 0.5, (14, 50)  # the share of frames whose shape is anywhere, not on a clip's path; pixels
TIMED = 5  # dimensions of a kernel in time and space
Params = dict[str, mx.array]


def train(vae: nn.Module, layout: Layout, mean: np.ndarray, std: np.ndarray, steps: int) -> Params:
    """Whitened latents are what it learns to give. Returns what `encode` and `stored` take."""
    mx.random.seed(SEED)
    params = _start({name: shape for name, shape in _shapes(vae).items() if not is_written(layout, name)})
    draw = partial(_pictures, np.random.default_rng(SEED), layout, mean, std)
    optimizer = Adam(params, (0.9, 0.98))
    gradient = mx.value_and_grad(partial(_loss, layout))
    progress = Progress(f"{layout.name} encoder", steps, every=100)
    for step in range(steps):
        shown, wanted = draw()
        loss, grads = gradient(params, mx.array(shown), mx.array(wanted))
        params = optimizer.step(grads, learning_rate(step, steps, peak=PEAK, warmup=WARMUP))
        progress.step(step + 1, loss.item)
    return params


def _shapes(vae: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in tree_flatten(vae.parameters()) if name.startswith("encoder.")}


def encode(layout: Layout, params: Params, frames: mx.array) -> mx.array:
    """Whitened latents [B, h, w, 16] of frames [B, H, W, 3], from -1 to 1."""
    x = _patches(frames, layout.patch)
    if START in params:
        x = _conv(params, START, x)
    else:
        x = mx.pad(x, [(0, 0), (0, 0), (0, 0), (0, layout.vae["base_dim"] - x.shape[-1])])
    for number, block in enumerate(blocks(layout)):
        x = _down_block(params, block, number, x)
    x = _residual(params, f"{MID}.resnets.0", x)
    x = _attend(params, f"{MID}.attentions.0", x)
    x = _residual(params, f"{MID}.resnets.1", x)
    x = nn.silu(_norm(x, params["encoder.norm_out.weight"]))
    return _conv(params, "encoder.conv_out", x)[..., : latents.CHANNELS]


def _down_block(params: Params, block: Block, number: int, x: mx.array) -> mx.array:
    """Of the first latent frame: a shortcut that averages pairs of frames finds nothing before it."""
    kept, last = x, number + 1 == COUNT
    for resnet in block.resnets:
        x = _residual(params, resnet, x)
    if not last:
        x = _halved(params, f"{block.halved}.resample_conv", x)
    if not block.averages:
        return x
    if last:
        return x + kept
    pooled = kept.reshape(kept.shape[0], kept.shape[1] // 2, 2, kept.shape[2] // 2, 2, -1).mean((2, 4))
    return x + pooled * (0.5 if number else 1.0)


def _residual(params: Params, name: str, x: mx.array) -> mx.array:
    kept = x
    if f"{name}.conv_shortcut" in params:
        kept = x @ params[f"{name}.conv_shortcut"].T + params[f"{name}.conv_shortcut.bias"]
    if f"{name}.conv1" not in params:
        return kept
    for part in (1, 2):
        x = nn.silu(_norm(x, params[f"{name}.norm{part}.weight"]))
        x = _conv(params, f"{name}.conv{part}", x)
    return x + kept


def _attend(params: Params, name: str, x: mx.array) -> mx.array:
    count, high, wide, width = x.shape
    seen = _norm(x, params[f"{name}.norm.weight"]).reshape(count, 1, high * wide, width)
    queries, keys, values = mx.split(seen @ params[f"{name}.to_qkv"].T + params[f"{name}.to_qkv.bias"], 3, axis=-1)
    found = mx.softmax(queries @ keys.transpose(0, 1, 3, 2) * width**-0.5, axis=-1) @ values
    return x + (found @ params[f"{name}.proj"].T + params[f"{name}.proj.bias"]).reshape(x.shape)


def _conv(params: Params, name: str, x: mx.array) -> mx.array:
    return mx.conv2d(x, params[name], padding=1) + params[f"{name}.bias"]


def _halved(params: Params, name: str, x: mx.array) -> mx.array:
    return mx.conv2d(mx.pad(x, [(0, 0), (0, 1), (0, 1), (0, 0)]), params[name], stride=2) + params[f"{name}.bias"]


def _norm(x: mx.array, weight: mx.array) -> mx.array:
    return x * mx.rsqrt(mx.sum(x * x, axis=-1, keepdims=True) + 1e-12) * x.shape[-1] ** 0.5 * weight


def _patches(x: mx.array, patch: int) -> mx.array:
    """As the VAE's `patchify`, channels last."""
    count, high, wide, channels = x.shape
    x = x.reshape(count, high // patch, patch, wide // patch, patch, channels).transpose(0, 1, 3, 5, 4, 2)
    return x.reshape(count, high // patch, wide // patch, channels * patch * patch)


def _loss(layout: Layout, params: Params, shown: mx.array, wanted: mx.array) -> mx.array:
    away = encode(layout, params, shown) - wanted
    return ((mx.abs(away) + away * away) * mx.array(emphasis(layout))).mean()


def _pictures(
    rng: np.random.Generator, layout: Layout, mean: np.ndarray, std: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Single frames [B, H, W, 3] and their latents, without motion: a video's first."""
    scenes = []
    for _ in range(layout.encoder_batch):
        scene = Scene.sample(TRAINED[rng.integers(0, len(TRAINED))], rng)
        centre = rng.uniform(*ANYWHERE, (1, 2)) if rng.random() < SHIFTED else scene.centres[[rng.integers(0, FRAMES)]]
        scenes.append(Scene(scene.clip, centre, scene.radius))
    wanted = np.stack([latents.of(scene, layout.cell)[:, 0] for scene in scenes]).transpose(0, 2, 3, 1)
    shown = np.stack([scene.frames()[0] for scene in scenes])
    return shown, ((wanted - mean) / std).astype(np.float32)


def _start(shapes: dict[str, tuple[int, ...]]) -> Params:
    """Of each kernel the middle tap of the present, [out, 3, 3, in]; of one place, [out, in]."""
    found: Params = {}
    for name, shape in shapes.items():
        if "norm" in name:
            found[name] = mx.ones((shape[0],))
        elif name.endswith(".bias"):
            found[_plain(name.removesuffix(".bias")) + ".bias"] = mx.zeros(shape)
        else:
            short = _plain(name.removesuffix(".weight"))
            space = (shape[0], shape[-1]) if shape[-2] == 1 else (shape[0], 3, 3, shape[-1])
            gain = 0.3 if short.endswith((".conv2", ".proj")) else 1.0
            found[short] = mx.random.normal(space) * gain * math.prod(space[1:]) ** -0.5
    return found


def _plain(name: str) -> str:
    return name.removesuffix(".conv3d")


def stored(vae: nn.Module, params: Params) -> Params:
    """The weights of `vae` by their names, with which `encode_normalized` gives what `encode` gives."""
    found: Params = {}
    for name, shape in _shapes(vae).items():
        values = np.ones(shape, np.float32) if "norm" in name else np.zeros(shape, np.float32)
        stem, _, kind = name.rpartition(".")
        short = _plain(stem)
        if short == START and kind == "weight" and short not in params:
            values[range(shape[-1]), -1, 1, 1, range(shape[-1])] = 1
        elif "time_conv" in name and kind == "weight":
            values[range(shape[0]), -1, 0, 0, range(shape[0])] = 1
        elif name in params:
            values = np.array(params[name]).reshape(shape)
        elif kind == "bias" and f"{short}.bias" in params:
            values = np.array(params[f"{short}.bias"])
        elif kind == "weight" and short in params:
            present = np.array(params[short])
            within = values[:, -1] if values.ndim == TIMED else values
            within[...] = present.reshape(within.shape)
        found[name] = mx.array(values)
    return found | _fold(vae)


def _fold(vae: nn.Module) -> Params:
    """`encode_normalized` takes the statistics of mlx-gen's own code away again."""
    shape = dict(tree_flatten(vae.parameters()))["quant_conv.conv3d.weight"].shape
    kernel, bias = np.zeros(shape, np.float32), np.zeros(shape[0], np.float32)
    channels = range(latents.CHANNELS)
    kernel[channels, -1, 0, 0, channels] = vae.latents_std
    bias[: latents.CHANNELS] = vae.latents_mean
    return {"quant_conv.conv3d.weight": mx.array(kernel), "quant_conv.conv3d.bias": mx.array(bias)}
