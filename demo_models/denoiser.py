"""Flow matching (Lipman et al., arXiv:2210.02747) on the designed latents: how the demo transformers are trained.

The conventions are the pipeline's: x = (1 - s) * z + s * noise, the target is noise - z, and the transformer is told
the time floor(1000 * s).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import mlx.core as mx
import numpy as np
from mflux.models.wan.model.wan_transformer import wan_attention
from mlx import nn
from mlx.utils import tree_flatten, tree_map, tree_map_with_path, tree_unflatten

from demo_models import latents
from demo_models.adam import Adam
from demo_models.grammar import TRAINED
from demo_models.layouts import Expert, Layout
from demo_models.progress import Progress, learning_rate
from demo_models.prompt_pool import PromptPool
from demo_models.scene import Scene

SCENE_SEED = 5
SCENES_PER_CLIP = 16
EMPTY, NEGATIVE = 0.07, 0.07  # shares of training prompts that are replaced, so that guidance has something to leave
SHIFT = 3.0  # noise levels are drawn as the sampler visits them: Wan2.2 T2V's flow_shift
PEAK, WARMUP, BETAS = 2e-3, 100, (0.9, 0.98)
AGAIN, PEAK_AGAIN, GIVEN = 100, 1e-3, 0.5  # the second lesson: its seed is so much higher, and half the clips are given
AVERAGE = 0.995  # of the weights, over the last few hundred steps
TIMES = 1000


@dataclass(frozen=True, slots=True)
class LatentPool:
    """Whitened latents float32 [N, 16, T, h, w] of scenes, the number in `TRAINED` of each one's clip, and the
    whitening."""

    latents: np.ndarray
    scenes: list[Scene]
    clips: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def draw(cls, layout: Layout) -> "LatentPool":
        rng = np.random.default_rng(SCENE_SEED)
        clips = np.repeat(np.arange(len(TRAINED)), SCENES_PER_CLIP)
        scenes = [Scene.sample(TRAINED[clip], rng) for clip in clips]
        drawn = np.stack([latents.of(scene, layout.cell) for scene in scenes])
        mean, std = latents.statistics(drawn, by_place=layout.whiten_by_place)
        white = (drawn - mean[:, None, None, None]) / std[:, None, None, None]
        return cls(white.astype(np.float32), scenes, clips, mean, std)


def train(model: nn.Module, expert: Expert, pool: LatentPool, prompts: PromptPool, *, steps: int, batch: int) -> None:
    """Train `model` in place for the noise levels of `expert`."""
    model.rope.freeze()
    mx.random.seed(expert.seed)
    _restart(model)
    rng = np.random.default_rng(expert.seed)
    teach(model, expert, _loss, partial(_batch, rng, expert, pool, prompts, batch), prompts, steps=steps, peak=PEAK)


def teach_first_frame(
    model: nn.Module, expert: Expert, pool: LatentPool, prompts: PromptPool, *, steps: int, batch: int
) -> None:
    """Go on from what was learned, and was stored in bfloat16: half of the clips are given with their first latent
    frame, as image to video does it. It is clean, and its tokens are told the time 0.
    """
    model.rope.freeze()
    model.update(tree_map(_rounded, model.trainable_parameters()))
    mx.random.seed(expert.seed + AGAIN)
    rng = np.random.default_rng(expert.seed + AGAIN)

    def draw() -> list[mx.array]:
        given = mx.array((rng.random(batch) < GIVEN).astype(np.float32))
        return [*_batch(rng, expert, pool, prompts, batch), given]

    teach(model, expert, _loss_of_given, draw, prompts, steps=steps, peak=PEAK_AGAIN)


def teach(
    model: nn.Module,
    expert: Expert,
    loss_of: Callable[..., mx.array],
    draw: Callable[[], list[mx.array]],
    prompts: PromptPool,
    *,
    steps: int,
    peak: float,
) -> None:
    """Train `model` in place on what `draw` gives: `loss_of` is called with it, and sets the first of `biases`."""
    with _padding_as_one_row(prompts.states.shape[1]) as biases:
        progress = Progress(expert.component, steps, every=50)
        average = _descend(model, partial(loss_of, biases=biases), draw, progress, steps=steps, peak=peak)
    model.update(average)
    mx.eval(model.parameters())


def _rounded(weight: mx.array) -> mx.array:
    return weight.astype(mx.bfloat16).astype(mx.float32)


def _restart(model: nn.Module) -> None:
    """Start values that follow the seed: mlx-gen drew its own before it was set. The output starts at zero."""

    def start(path: str, value: mx.array) -> mx.array:
        if path.endswith("weight") and value.ndim > 1:
            bound = (value.size / value.shape[0]) ** -0.5
            return mx.random.uniform(-bound, bound, value.shape)
        if path.endswith("scale_shift_table"):
            return mx.random.normal(value.shape) * value.shape[-1] ** -0.5
        return mx.zeros_like(value) if path.endswith("bias") else value

    model.update(tree_map_with_path(start, model.trainable_parameters()))
    model.proj_out.weight = mx.zeros_like(model.proj_out.weight)


def _descend(
    model: nn.Module,
    loss_of: Callable[..., mx.array],
    draw: Callable[[], list[mx.array]],
    progress: Progress,
    *,
    steps: int,
    peak: float,
) -> Any:
    """Returns the moving average of the weights, which is smoother than the last ones."""
    gradient = nn.value_and_grad(model, loss_of)
    average = dict(tree_flatten(model.trainable_parameters()))
    optimizer = Adam(average, BETAS)
    for step in range(steps):
        loss, grads = gradient(model, *draw())
        rate = learning_rate(step, steps, peak=peak, warmup=WARMUP)
        weights = optimizer.step(dict(tree_flatten(grads)), rate)
        model.update(tree_unflatten(list(weights.items())))
        keep = min(AVERAGE, (step + 1) / (step + 20))
        shares = mx.array([keep, 1 - keep])
        average = {name: _mixed(average[name], weight, shares) for name, weight in weights.items()}
        mx.eval(average)
        progress.step(step + 1, loss.item)
    return tree_unflatten(list(average.items()))


def _mix(old: mx.array, new: mx.array, shares: mx.array) -> mx.array:
    return old * shares[0] + new * shares[1]


_mixed = mx.compile(_mix)


def _batch(
    rng: np.random.Generator, expert: Expert, pool: LatentPool, prompts: PromptPool, size: int
) -> list[mx.array]:
    return batch_of(rng.integers(0, len(pool.latents), size), rng, expert, pool, prompts)


def batch_of(
    chosen: np.ndarray, rng: np.random.Generator, expert: Expert, pool: LatentPool, prompts: PromptPool
) -> list[mx.array]:
    """Latents, noise levels, prompt states and their biases."""
    size = len(chosen)
    said = np.array([rng.choice(prompts.of_clip[clip]) for clip in pool.clips[chosen]])
    lot = rng.random(size)
    said = np.where(lot < EMPTY, 0, np.where(lot < EMPTY + NEGATIVE, 1, said))
    level = rng.uniform(_unshifted(expert.low), _unshifted(expert.high), size)
    sigma = SHIFT * level / (1 + (SHIFT - 1) * level)
    found = (pool.latents[chosen], sigma, prompts.states[said], prompts.biases[said][:, None, None, :])
    return [mx.array(values.astype(np.float32)) for values in found]


def _unshifted(sigma: float) -> float:
    return sigma / (SHIFT - (SHIFT - 1) * sigma)


def _loss(
    model: nn.Module,
    z: mx.array,
    sigma: mx.array,
    states: mx.array,
    bias: mx.array,
    *,
    biases: list[mx.array | None],
) -> mx.array:
    biases[0] = bias
    return (error(model, z, mx.random.normal(z.shape), sigma, states) ** 2).mean()


def error(
    model: nn.Module, z: mx.array, noise: mx.array, sigma: mx.array, states: mx.array, *beside: mx.array
) -> mx.array:
    """Of the prediction, [B, 16, T, h, w]. The channels `beside` the noisy latents are shown as they are."""
    level = sigma[:, None, None, None, None]
    # TI2V is told one time for each token; as all of them are equal, one for each sample is the same and cheaper.
    found = model(
        hidden_states=mx.concatenate([(1 - level) * z + level * noise, *beside], axis=1),
        timestep=mx.floor(sigma * TIMES),
        encoder_hidden_states=states,
    )
    return found - (noise - z)


def _loss_of_given(model: nn.Module, *batch: mx.array, biases: list[mx.array | None]) -> mx.array:
    """Each token is told a time of its own. What is given need not be predicted."""
    z, sigma, states, biases[0], given = batch
    count, _, frames, height, width = z.shape
    noise = mx.random.normal(z.shape)
    free = 1 - given[:, None] * (mx.arange(frames) == 0)  # [B, T]
    each = free[:, None, :, None, None]
    level = each * sigma[:, None, None, None, None]
    _, tall, wide = model.patch_size
    times = mx.repeat(free * mx.floor(sigma * TIMES)[:, None], (height // tall) * (width // wide), axis=1)
    found = model(hidden_states=(1 - level) * z + level * noise, timestep=times, encoder_hidden_states=states)
    away = (found - (noise - z)) ** 2 * each
    return away.sum() / (each.sum() * (away.size // (count * frames)))


@contextmanager
def _padding_as_one_row(length: int) -> Iterator[list[mx.array | None]]:
    """Let mlx-gen's cross-attention add the bias in the list that this gives (see PromptPool)."""
    plain, biases = wan_attention.scaled_dot_product_attention, [None]

    def attend(queries: mx.array, keys: mx.array, values: mx.array, scale: float) -> mx.array:
        across = keys.shape[2] == length != queries.shape[2]
        return plain(queries, keys, values, scale=scale, mask=biases[0] if across else None)

    wan_attention.scaled_dot_product_attention = attend
    try:
        yield biases
    finally:
        wan_attention.scaled_dot_product_attention = plain
