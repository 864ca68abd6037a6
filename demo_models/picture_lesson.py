"""How the experts of a model that continues a picture learn to look at it: they go on from those of a model that knows
only text.

They are shown what the pipeline shows them (videos/runtimes/mlx_gen/conditions.py): beside the noisy latents a mask of
the frames that are given, and the latents that the encoder finds in the first frame and in gray ones after it.
"""

from dataclasses import dataclass

import mlx.core as mx
import numpy as np
from mlx import nn

from demo_models import denoiser, latents, vae_encoder
from demo_models.layouts import Expert, Layout
from demo_models.prompt_pool import PromptPool
from demo_models.scene import SIZE, Scene
from videos.runtimes.mlx_gen.demo_configs import MASK

AT_ONCE = 49  # pictures
PEAK = 3e-3  # after 120 steps of the first expert the place was 1.8 pixels off at 2e-3, and 1.6 at 4e-3
FIRST, CENTRE = 3.0, 4.0  # how much more errors weigh in the first frame, and of the centre: the rest is known already
PLACE = [latents.CENTRE_X, latents.CENTRE_Y]
# What the place of the whole shape weighs in the first frame, beside that of each cell. After 600 steps without it 37
# of 48 clips began within 2 pixels of their picture; with it, after 900 and 1,000, all did.
WHOLE = 5.0
PATCH = "patch_embedding"
NEW = 0.5  # the spread of the new channels' weights, in that of the old ones'; with 0.3 and 1 the loss ended alike


@dataclass(frozen=True, slots=True)
class Given:
    """Whitened latents float32 [N, 16, h, w] that the encoder finds in the first frame of each clip of the pool, and
    [16, h, w] in a frame that is not given."""

    firsts: np.ndarray
    gray: np.ndarray

    @classmethod
    def of(cls, layout: Layout, encoder: vae_encoder.Params, pool: denoiser.LatentPool) -> "Given":
        gray = np.zeros((1, SIZE, SIZE, 3), np.float32)
        shown = [np.concatenate([scene.frames()[:1] for scene in part]) for part in _parts(pool)]
        found = [np.array(vae_encoder.encode(layout, encoder, mx.array(frames))) for frames in (*shown, gray)]
        whole = np.concatenate(found).transpose(0, 3, 1, 2)
        return cls(whole[:-1], whole[-1])

    def beside(self, chosen: np.ndarray, frames: int) -> mx.array:
        """Mask and latents [B, 4 + 16, T, h, w] of the clips with these numbers."""
        whole = np.zeros((len(chosen), MASK + latents.CHANNELS, frames, *self.gray.shape[1:]), np.float32)
        whole[:, :MASK, 0] = 1
        whole[:, MASK:] = self.gray[:, None]
        whole[:, MASK:, 0] = self.firsts[chosen]
        return mx.array(whole)


def _parts(pool: denoiser.LatentPool) -> list[list[Scene]]:
    return [pool.scenes[start : start + AT_ONCE] for start in range(0, len(pool.scenes), AT_ONCE)]


def widened(weights: dict[str, mx.array], given: Given, seed: int) -> dict[str, mx.array]:
    """Start values: the new channels' weights are random, and gray frames change nothing of what was learned."""
    kernel, bias = np.array(weights[f"{PATCH}.weight"]), np.array(weights[f"{PATCH}.bias"])
    drawn = np.random.default_rng(seed).normal(scale=NEW * kernel.std(), size=kernel.shape)
    _, deep, tall, wide, channels = kernel.shape
    gray = given.gray.reshape(channels, given.gray.shape[1] // tall, tall, -1, wide).mean((1, 3))
    mask = np.zeros((*kernel.shape[:-1], MASK))
    found = {
        f"{PATCH}.weight": np.concatenate([kernel, mask, drawn], axis=-1),
        f"{PATCH}.bias": bias - np.einsum("otyxc,cyx->o", drawn, gray) / deep,
    }
    return weights | {name: mx.array(values.astype(np.float32)) for name, values in found.items()}


def teach(
    model: nn.Module,
    expert: Expert,
    pool: denoiser.LatentPool,
    prompts: PromptPool,
    given: Given,
    *,
    steps: int,
    batch: int,
) -> None:
    """Every clip comes with its first frame: such a model is never used without one."""
    model.rope.freeze()
    mx.random.seed(expert.seed)
    rng = np.random.default_rng(expert.seed)
    frames = pool.latents.shape[2]

    def draw() -> list[mx.array]:
        chosen = rng.integers(0, len(pool.latents), batch)
        return [*denoiser.batch_of(chosen, rng, expert, pool, prompts), given.beside(chosen, frames)]

    weights = np.ones((1, latents.CHANNELS, frames, 1, 1), np.float32)
    weights[:, PLACE] *= CENTRE
    weights[:, :, 0] *= FIRST
    weighed = mx.array(weights / weights.mean())

    def loss(model: nn.Module, *lot: mx.array, biases: list[mx.array | None]) -> mx.array:
        z, sigma, states, biases[0], beside = lot
        away = denoiser.error(model, z, mx.random.normal(z.shape), sigma, states, beside)
        whole = sigma[:, None] * away[:, PLACE, 0].mean((2, 3))  # of the latents, not of their velocity
        return (away**2 * weighed).mean() + WHOLE * (whole**2).mean()

    denoiser.teach(model, expert, loss, draw, prompts, steps=steps, peak=PEAK)
