"""The latent space of the demo models. It is designed, not learned.

Smooth fields over the cells of the latent grid that a small decoder can draw from, so that most of the decoder can be
written down (vae_body.py) and only its last block is trained (vae_head.py).
"""

import numpy as np

from demo_models.scene import SIZE, Scene

CHANNELS = 16
FRAMES_PER_LATENT = 4
CENTRE_UNIT = 16.0  # pixels
MOTION_UNIT = 6.0  # pixels: what a shape moves in 4 frames
CENTRE_X, CENTRE_Y, MOTION_X, MOTION_Y, SHAPE, RADIUS = range(6)
COLOUR, BACKGROUND, PREVIEW, COVERAGE = slice(6, 9), slice(9, 12), slice(12, 15), 15
DRAWN = 12  # what the decoder draws from; the others make the latents look like a small picture, as real ones do


def of(scene: Scene, cell: int) -> np.ndarray:
    """The latents of a scene on cells of `cell` pixels: float32 [16, (F - 1) / 4 + 1, H / cell, W / cell].

    The centre is the last frame's of each group of four, relative to the cell; the motion is what led there.
    """
    centres = scene.centres[::FRAMES_PER_LATENT]
    count, side = len(centres), SIZE // cell
    middles = np.arange(side) * cell + cell / 2
    motion = np.vstack([np.zeros((1, 2)), np.diff(centres, axis=0)]) / MOTION_UNIT
    coverage = scene.coverage()[::FRAMES_PER_LATENT].reshape(count, side, cell, side, cell).mean((2, 4))
    found = np.zeros((CHANNELS, count, side, side), np.float32)
    found[CENTRE_X] = ((centres[:, 0, None] - middles) / CENTRE_UNIT)[:, None, :]
    found[CENTRE_Y] = ((centres[:, 1, None] - middles) / CENTRE_UNIT)[:, :, None]
    found[MOTION_X], found[MOTION_Y] = motion[:, 0, None, None], motion[:, 1, None, None]
    found[SHAPE] = 1.0 if scene.clip.shape == "ball" else -1.0
    found[RADIUS] = scene.radius - 9.0
    found[COLOUR] = scene.colour[:, None, None, None]
    found[BACKGROUND] = scene.background[:, None, None, None]
    mixed = scene.background + coverage[..., None] * (scene.colour - scene.background)
    found[PREVIEW] = mixed.transpose(3, 0, 1, 2)
    found[COVERAGE] = coverage
    return found


def statistics(pool: np.ndarray, *, by_place: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel of [N, 16, T, H, W]: the denoiser sees latents whitened with them.

    `by_place` leaves out what differs only from cell to cell. On small cells that is most of a centre's variance, and
    a denoiser that is not told the difference spends its care on it: the shape then jumps between groups of frames.
    """
    spread = np.sqrt(pool.var(0).mean((1, 2, 3))) if by_place else pool.std((0, 2, 3, 4))
    return pool.mean((0, 2, 3, 4)), spread
