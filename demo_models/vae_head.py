"""The last block of a demo decoder: a small network that paints each place from its own latents, trained on clips.

It is trained as what it is, a network of one place at a time, and stored as the middle taps of the real 3x3x3 kernels.
"""

from collections.abc import Iterator

import mlx.core as mx
import numpy as np
from mlx import nn

from demo_models import latents, vae_body
from demo_models.adam import Adam
from demo_models.grammar import TRAINED
from demo_models.layouts import Layout
from demo_models.progress import Progress, learning_rate
from demo_models.scene import SIZE, Scene

SEED = 1
SCENES_PER_CLIP, PLACES_PER_FRAME, CLIPS_AT_ONCE = 4, 96, 14
NEAR = 5.0  # pixels beyond the shape's edge; half of the places are taken there, for that is where drawing is hard
LATENT_NOISE = 0.12  # in units of the latents: more than a denoiser leaves behind (measured: 0.03 to 0.08)
BATCH, PEAK, WARMUP = 4096, 5e-3, 50
BLOCKS = 3
Params = dict[str, mx.array]


def train(vae: nn.Module, layout: Layout, steps: int) -> Params:
    """`vae` has the body's weights. Returns the last block's and the output's, under the VAE's names."""
    mx.random.seed(SEED)
    rng = np.random.default_rng(SEED)
    seen, painted = _places(vae, layout, rng)
    params = _start(layout)
    optimizer = Adam(params, (0.9, 0.99))
    gradient = mx.value_and_grad(_loss)
    progress = Progress(f"{layout.name} decoder", steps, every=250)
    for step in range(steps):
        chosen = rng.integers(0, len(seen), BATCH)
        loss, grads = gradient(params, mx.array(seen[chosen]), mx.array(painted[chosen]))
        params = optimizer.step(grads, learning_rate(step, steps, peak=PEAK, warmup=WARMUP))
        progress.step(step + 1, loss.item)
    return _stored(params)


def features(vae: nn.Module, z: mx.array) -> mx.array:
    """What the last block sees: [B, C, F, H / patch, W / patch] from latents [B, 16, T, h, w]. The body's residual
    blocks are the identity and are left out."""
    decoder, caches, found = vae.decoder, [[None], [None], [None]], []
    for time in range(z.shape[2]):
        x = decoder.conv_in(vae.post_quant_conv(z[:, :, time : time + 1]))
        for block, cache in zip(decoder.up_blocks, caches, strict=False):
            if (widen := block.resnets[0].conv_shortcut) is not None:
                x = widen(x)
            if hasattr(block, "avg_shortcut"):
                x = block.upsampler(x, feat_cache=cache, feat_idx=[0]) + block.avg_shortcut(x, first_chunk=time == 0)
            else:
                x = block.upsamplers[0](x, feat_cache=cache, feat_idx=[0])
        found.append(x)
    return mx.concatenate(found, axis=2)


def paint(params: Params, x: mx.array) -> mx.array:
    """Colours from -1 to 1 of patch x patch pixels, [N, 3 * patch**2], from features [N, C]."""
    for block in range(BLOCKS):
        h = nn.silu(_norm(x, params[f"{block}.norm1"])) @ params[f"{block}.conv1"].T + params[f"{block}.bias1"]
        h = nn.silu(_norm(h, params[f"{block}.norm2"])) @ params[f"{block}.conv2"].T + params[f"{block}.bias2"]
        x = x + h
    return nn.silu(_norm(x, params["norm"])) @ params["out"].T + params["bias"]


def _norm(x: mx.array, weight: mx.array) -> mx.array:
    return x * mx.rsqrt(mx.sum(x * x, axis=-1, keepdims=True) + 1e-12) * x.shape[-1] ** 0.5 * weight


def _loss(params: Params, seen: mx.array, painted: mx.array) -> mx.array:
    away = paint(params, seen) - painted
    return mx.abs(away).mean() + (away * away).mean()


def _start(layout: Layout) -> Params:
    width, pixels = layout.head, 3 * layout.patch**2
    found = {"norm": mx.ones((width,)), "out": _random(pixels, width, 0.3), "bias": mx.zeros((pixels,))}
    for block in range(BLOCKS):
        for conv, gain in ((1, 1.0), (2, 0.3)):
            found[f"{block}.norm{conv}"] = mx.ones((width,))
            found[f"{block}.conv{conv}"] = _random(width, width, gain)
            found[f"{block}.bias{conv}"] = mx.zeros((width,))
    return found


def _random(rows: int, columns: int, gain: float) -> mx.array:
    return mx.random.normal((rows, columns)) * gain * columns**-0.5


def _places(vae: nn.Module, layout: Layout, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, C] and the colours that belong there [N, 3 * patch**2]."""
    seen, painted = [], []
    for scenes in _batches(rng):
        z = np.stack([latents.of(scene, layout.cell) for scene in scenes])
        z += rng.normal(size=z.shape) * rng.uniform(0, LATENT_NOISE, (len(z), 1, 1, 1, 1))
        shown = np.array(features(vae, mx.array(z.astype(np.float32)))).transpose(0, 2, 3, 4, 1)
        pixels = mx.array(np.stack([scene.frames() for scene in scenes]).transpose(0, 4, 1, 2, 3))
        colours = np.array(vae.patchify(pixels, layout.patch)).transpose(0, 2, 3, 4, 1)
        for scene, of_scene, its_colours in zip(scenes, shown, colours, strict=True):
            where = _chosen(scene, layout.patch, rng)
            seen.append(of_scene[where])
            painted.append(its_colours[where])
    return np.concatenate(seen), np.concatenate(painted)


def _batches(rng: np.random.Generator) -> Iterator[list[Scene]]:
    clips = TRAINED * SCENES_PER_CLIP
    for start in range(0, len(clips), CLIPS_AT_ONCE):
        yield [Scene.sample(clip, rng) for clip in clips[start : start + CLIPS_AT_ONCE]]


def _chosen(scene: Scene, patch: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Frame, row and column of the places that are looked at: half near the shape, half anywhere."""
    side, half = SIZE // patch, PLACES_PER_FRAME // 2
    middles = (np.arange(side) + 0.5) * patch
    found = []
    for frame, (x, y) in enumerate(scene.centres):
        away = np.hypot(middles[None, :] - x, middles[:, None] - y)
        near = np.argwhere(away < scene.radius + NEAR)
        places = np.concatenate([near[rng.integers(0, len(near), half)], rng.integers(0, side, (half, 2))])
        found.append(np.column_stack([np.full(len(places), frame), places]))
    return tuple(np.concatenate(found).T)


def _stored(params: Params) -> Params:
    found = {
        "decoder.norm_out.weight": params["norm"].reshape(-1, 1, 1, 1),
        "decoder.conv_out.conv3d.weight": _kernel(params["out"]),
        "decoder.conv_out.conv3d.bias": params["bias"],
    }
    for block in range(BLOCKS):
        name = f"decoder.up_blocks.{vae_body.LAST}.resnets.{block}"
        for conv in (1, 2):
            found[f"{name}.norm{conv}.weight"] = params[f"{block}.norm{conv}"].reshape(-1, 1, 1, 1)
            found[f"{name}.conv{conv}.conv3d.weight"] = _kernel(params[f"{block}.conv{conv}"])
            found[f"{name}.conv{conv}.conv3d.bias"] = params[f"{block}.bias{conv}"]
    return found


def _kernel(matrix: mx.array) -> mx.array:
    """A network of one place as a causal 3x3x3 kernel: only the present frame's middle tap is not zero."""
    kernel = np.zeros((matrix.shape[0], 3, 3, 3, matrix.shape[1]), np.float32)
    kernel[:, 2, 1, 1, :] = np.array(matrix)
    return mx.array(kernel)
