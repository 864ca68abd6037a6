"""What a clip starts from: a picture, two, or an earlier clip; encoded by the VAE, and held on to while denoising.

As mlx-gen 0.38.0's `Wan2_2_TI2V` does it for the models it does it for. Continuing a clip with a model that only reads
text is ours: its last latent frames are put in the place of the first ones between steps, as mlx-gen's own masked
editing keeps what is outside of a mask.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import mlx.core as mx
import numpy as np
from mflux.models.common.config.model_config import ModelConfig
from mflux.models.wan.latent_creator import WanTimestepPolicy

from videos.runtimes.mlx_gen import mlxgen
from videos.runtimes.mlx_gen.artifacts import Found
from videos.runtimes.mlx_gen.recipe import Recipe

GROUP = 4  # frames to a latent frame after the first


@dataclass(frozen=True, slots=True)
class Sources:
    """Pixels on the shelf: what the clip begins with, what it ends with, and the clip that it is made from."""

    picture: Found | None = None
    last_picture: Found | None = None
    clip: Found | None = None


def encode(recipe: Recipe, vae: Any, sources: Sources, *, frugal: bool) -> mx.array:
    """float32 [1, C, T, h, w]; which channels and frames depends on `recipe.way`. Few frames are in memory at once."""
    found = mlxgen.encode_video(vae, _groups(recipe, sources), clear_cache=frugal).astype(mx.float32)
    if recipe.way == "channels":
        last = sources.last_picture is not None
        mask = mlxgen.condition_mask(vae, recipe.frames, found.shape, head=recipe.head, last=last)
        found = mx.concatenate([mask[:, :, : found.shape[2]], found], axis=1)
    mx.eval(found)
    return found


def _groups(recipe: Recipe, sources: Sources) -> Iterator[mx.array]:
    """The frames [1, 3, 1 or 4, H, W] as the VAE takes them: the first alone, then those of one latent frame."""
    count = recipe.frames if recipe.way in ("edit", "channels") else recipe.head
    # An edit's are float32 where all else is in the model's precision, as in mlx-gen.
    dtype = mx.float32 if recipe.way == "edit" else ModelConfig.precision
    for first, last in pairwise([0, *range(1, count + 1, GROUP)]):
        yield mx.concatenate([_frame(recipe, sources, place).astype(dtype) for place in range(first, last)], axis=2)


def _frame(recipe: Recipe, sources: Sources, place: int) -> mx.array:
    """What is given at one place of the new clip; zeros where nothing is."""
    if recipe.way == "edit" and sources.clip:
        return _pixels(sources.clip, place)
    if place < recipe.head and sources.clip:
        return _pixels(sources.clip, sources.clip.layout["frames"][1][0] - recipe.head + place)
    if place < recipe.head and sources.picture:
        return _pixels(sources.picture, 0)
    if place == recipe.frames - 1 and sources.last_picture:
        return _pixels(sources.last_picture, 0)
    return mx.zeros((1, 3, 1, recipe.height, recipe.width))


def _pixels(found: Found, place: int) -> mx.array:
    """[1, 3, 1, H, W] from -1 to 1."""
    _, height, width, channels = found.layout["frames"][1]
    size = height * width * channels
    raw = np.frombuffer(found.bytes("frames", place * size, (place + 1) * size), np.uint8)
    frame = raw.reshape(1, 1, height, width, channels).astype(np.float32) / 255.0
    return 2.0 * mx.array(frame.transpose(0, 4, 1, 2, 3)) - 1.0


@dataclass(frozen=True, slots=True)
class Condition:
    """`latents` as `encode` gives them, and how they take part in each step."""

    way: str
    latents: mx.array

    def seen(self, recipe: Recipe, latents: mx.array) -> mx.array:
        """What the transformer is shown of the state between two steps."""
        if self.way == "first_frame":
            return WanTimestepPolicy.apply_first_frame_condition(
                latents=latents, condition=self.latents, first_frame_mask=_first_frame(recipe)
            )
        return mx.concatenate([latents, self.latents], axis=1) if self.way == "channels" else latents

    def timesteps(self, recipe: Recipe, timestep: float, patch_size: tuple[int, int, int]) -> mx.array | None:
        """One for each token, where what is given has another than the rest."""
        if self.way != "first_frame":
            return None
        return WanTimestepPolicy.expand_from_mask(
            mask=_first_frame(recipe), batch_size=recipe.latents[0], timestep=timestep, patch_size=patch_size
        )

    def after(self, recipe: Recipe, solver: Any, latents: mx.array, noise: mx.array) -> mx.array:
        """The state after a step; the solver's past is brought in line with it."""
        if self.way != "held":
            return latents
        return mlxgen.keep_outside(solver, latents, change=self._free(recipe), source=self._whole(recipe), noise=noise)

    def last(self, recipe: Recipe, latents: mx.array) -> mx.array:
        """The finished latents: what was given is in them as it was given."""
        if self.way == "held":
            free = self._free(recipe)
            return free * latents + (1.0 - free) * self._whole(recipe)
        return self.seen(recipe, latents) if self.way == "first_frame" else latents

    def _free(self, recipe: Recipe) -> mx.array:
        frames = mx.arange(recipe.latents[2]) >= self.latents.shape[2]
        return frames.astype(mx.float32).reshape(1, 1, -1, 1, 1)

    def _whole(self, recipe: Recipe) -> mx.array:
        rest = recipe.latents[2] - self.latents.shape[2]
        return mx.pad(self.latents, [(0, 0), (0, 0), (0, rest), (0, 0), (0, 0)])


def _first_frame(recipe: Recipe) -> mx.array:
    return WanTimestepPolicy.first_frame_mask(latent_shape=recipe.latents)
