"""The encoder of the demo model that starts from a picture: trained to find a scene's designed latents in its pixels.

It is trained as what it is used for, a network of a video's first frame: of every causal kernel only the tap of the
present is not zero. What comes after a first frame it cannot encode.
"""

import math
from functools import partial

import mlx.core as mx
import numpy as np
from mlx import nn, optimizers
from mlx.utils import tree_flatten

from demo_models import latents
from demo_models.grammar import TRAINED
from demo_models.layouts import Layout
from demo_models.progress import Progress, learning_rate
from demo_models.scene import FRAMES, Scene

SEED = 7
PEAK, WARMUP = 4e-3, 50
WEIGHTS = {latents.CENTRE_X: 4.0, latents.CENTRE_Y: 4.0, latents.SHAPE: 4.0}  # in the loss; all others weigh 1
SHIFTED, ANYWHERE = 0.5, (14, 50)  # the share of frames whose shape is anywhere, not on a clip's path; pixels
TIMED = 5  # dimensions of a kernel in time and space
COUNT = 4  # of down blocks; all but the last halve the picture
BLOCKS, MID = "encoder.down_blocks", "encoder.mid_block"
IDLE = f"{BLOCKS}.0.resnets."  # the identity: on all the pixels, they would cost as much as all the others
Params = dict[str, mx.array]


def train(vae: nn.Module, layout: Layout, mean: np.ndarray, std: np.ndarray, steps: int) -> Params:
    """Whitened latents are what it gives after `encode_normalized`. Returns the encoder's weights under their names."""
    mx.random.seed(SEED)
    shapes = {name: value.shape for name, value in tree_flatten(vae.parameters()) if name.startswith("encoder.")}
    params = _start(shapes)
    draw = partial(_pictures, np.random.default_rng(SEED), layout, mean, std)
    optimizer = optimizers.Adam(learning_rate=PEAK, betas=[0.9, 0.98])
    optimizer.init(params)
    gradient = mx.value_and_grad(partial(_loss, layout))
    progress = Progress(f"{layout.name} encoder", steps, every=100)
    for step in range(steps):
        shown, wanted = draw()
        optimizer.learning_rate = learning_rate(step, steps, peak=PEAK, warmup=WARMUP)
        loss, grads = gradient(params, mx.array(shown), mx.array(wanted))
        grads, _ = optimizers.clip_grad_norm(grads, 1.0)
        params = optimizer.apply_gradients(grads, params)
        mx.eval(params, optimizer.state)
        progress.step(step + 1, loss.item())
    return _stored(params, shapes) | _fold(vae)


def encode(layout: Layout, params: Params, frames: mx.array) -> mx.array:
    """Whitened latents [B, h, w, 16] of frames [B, H, W, 3], from -1 to 1."""
    x = _conv(params, "encoder.conv_in", _patches(frames, layout.patch))
    for block in range(COUNT):
        x = _down_block(params, f"{BLOCKS}.{block}", block, x)
    x = _residual(params, f"{MID}.resnets.0", x)
    x = _attend(params, f"{MID}.attentions.0", x)
    x = _residual(params, f"{MID}.resnets.1", x)
    x = nn.silu(_norm(x, params["encoder.norm_out.weight"]))
    return _conv(params, "encoder.conv_out", x)[..., : latents.CHANNELS]


def _down_block(params: Params, name: str, block: int, x: mx.array) -> mx.array:
    """Of the first latent frame: a shortcut that averages pairs of frames finds nothing before it."""
    kept = x
    for resnet in range(2 if block else 0):
        x = _residual(params, f"{name}.resnets.{resnet}", x)
    if block + 1 == COUNT:
        return x + kept
    pooled = kept.reshape(kept.shape[0], kept.shape[1] // 2, 2, kept.shape[2] // 2, 2, -1).mean((2, 4))
    return _halved(params, f"{name}.downsampler.resample_conv", x) + pooled * (0.5 if block else 1.0)


def _residual(params: Params, name: str, x: mx.array) -> mx.array:
    kept = x
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
    weights = mx.array([WEIGHTS.get(channel, 1.0) for channel in range(latents.CHANNELS)])
    return ((mx.abs(away) + away * away) * weights).mean()


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
        if "time_conv" in name or name.startswith(IDLE):
            continue
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


def _stored(params: Params, shapes: dict[str, tuple[int, ...]]) -> Params:
    found: Params = {}
    for name, shape in shapes.items():
        values = np.ones(shape, np.float32) if "norm" in name else np.zeros(shape, np.float32)
        stem, _, kind = name.rpartition(".")
        short = _plain(stem)
        if "time_conv" in name and kind == "weight":
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
    return found


def _fold(vae: nn.Module) -> Params:
    """`encode_normalized` takes the statistics of mlx-gen's own code away again."""
    shape = dict(tree_flatten(vae.parameters()))["quant_conv.conv3d.weight"].shape
    kernel, bias = np.zeros(shape, np.float32), np.zeros(shape[0], np.float32)
    channels = range(latents.CHANNELS)
    kernel[channels, -1, 0, 0, channels] = vae.latents_std
    bias[: latents.CHANNELS] = vae.latents_mean
    return {"quant_conv.conv3d.weight": mx.array(kernel), "quant_conv.conv3d.bias": mx.array(bias)}
