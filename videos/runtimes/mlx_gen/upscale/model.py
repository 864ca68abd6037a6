"""SeedVR2 in memory: one step of its denoiser between its VAE's encoder and decoder.

As mlx-gen 0.38.0 restores a chunk of a video (`SeedVR2._restore_video_frames`), which takes whole frames only: here it
is a tile of them, so that the memory does not grow with the frame.
"""

from typing import Any

import mlx.core as mx
import numpy as np
from mflux.models.common.config.model_config import ModelConfig
from mlx.utils import tree_flatten

from memory.protocol import WorkerFailed
from videos.runtimes.mlx_gen import limits, weights
from videos.runtimes.mlx_gen.components import drop_freed
from videos.runtimes.mlx_gen.denoise import require_finite
from videos.runtimes.mlx_gen.upscale import seedvr2
from videos.runtimes.mlx_gen.upscale.checkpoint import Checkpoint
from videos.runtimes.mlx_gen.upscale.tiles import Tile

LATENT_PIXELS = 8  # each way
LATENT_FRAMES = 4


class Model:
    def __init__(self, checkpoint: Checkpoint) -> None:
        """Raises WorkerFailed: `model_invalid`, for weights that are missing or do not fit."""
        ModelConfig.precision = limits.precision()
        components, family = seedvr2.components(checkpoint.family), checkpoint.family
        denoiser = seedvr2.denoiser(family, checkpoint.denoiser_sizes())
        self._denoiser = _loaded(denoiser, checkpoint, components["transformer"])
        self._vae = _loaded(seedvr2.vae(checkpoint.vae_sizes()), checkpoint, components["vae"])
        self._text = seedvr2.text()
        self.channels = int(self._vae.latent_channels)

    def restore(self, values: np.ndarray, tile: Tile, noise: "Noise", first: int) -> np.ndarray:
        """A tile of a chunk whose first frame is the clip's frame `first`, made sharp.

        Args:
            values: [T, h, w, 3] from -1 to 1, T being 4n + 1.
        """
        pixels = mx.array(values).transpose(3, 0, 1, 2)[None]
        encoded = self._vae.encode(pixels.astype(ModelConfig.precision))
        mx.eval(encoded)
        drop_freed()
        latents = self._denoised(encoded, noise.of(tile, first // LATENT_FRAMES, encoded.shape[2]))
        drop_freed()
        decoded = self._vae.decode(latents)[:, :, : values.shape[0]]
        made = seedvr2.with_colours_of(decoded.astype(mx.float32), pixels)
        mx.eval(made)
        require_finite(made, "upscaling", "frames")
        found = np.array(made[0].transpose(1, 2, 3, 0))
        del pixels, encoded, latents, decoded, made
        drop_freed()
        return found

    def _denoised(self, encoded: mx.array, noise: mx.array) -> mx.array:
        """In one step, which the model was distilled for."""
        plan, noise = seedvr2.one_step(), noise.astype(ModelConfig.precision)
        vid = seedvr2.seen(noise, encoded)
        predicted = self._denoiser(vid=vid, txt=self._text, timestep=plan.timesteps[0])
        latents = plan.step(noise=predicted, timestep=0, latents=noise).astype(ModelConfig.precision)
        mx.eval(latents)
        require_finite(latents, "upscaling", "latents")
        return latents


class Noise:
    """Of the whole clip, by place: where two tiles or two chunks overlap, both begin with the same."""

    def __init__(self, seed: int, height: int, width: int, channels: int) -> None:
        self._seed, self._size, self._channels = seed, (height // LATENT_PIXELS, width // LATENT_PIXELS), channels

    def of(self, tile: Tile, first: int, count: int) -> mx.array:
        """[1, C, T, h, w] of a tile for `count` latent frames from `first` on."""
        rows = slice(tile.top // LATENT_PIXELS, tile.bottom // LATENT_PIXELS)
        columns = slice(tile.left // LATENT_PIXELS, tile.right // LATENT_PIXELS)
        frames = [self._frame(number)[..., rows, columns] for number in range(first, first + count)]
        return mx.concatenate(frames, axis=2)

    def _frame(self, number: int) -> mx.array:
        keys = mx.random.split(mx.random.key(self._seed), number + 1)
        return mx.random.normal((1, self._channels, 1, *self._size), key=keys[number])


def _loaded(module: Any, checkpoint: Checkpoint, component: Any) -> Any:
    blank = dict(tree_flatten(module.parameters()))
    try:
        read = seedvr2.load(checkpoint.root, component, module)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise WorkerFailed("model_invalid", f"mlx-gen cannot load {checkpoint.root}: {error}") from error
    applied, loaded = (dict(tree_flatten(found)) for found in (module.parameters(), read))
    weights.require_complete(checkpoint.root / component.weight_files[0], blank, applied, loaded)
    return module
