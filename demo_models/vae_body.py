"""The demo decoders up to their last block: written down, not trained.

Residual blocks are the identity (their second convolution is zero) and every upsampler interpolates linearly, so each
place of the last block sees the designed latents of its own position. In time, each upsampler doubles the frames and
moves the earlier of two by half a step against the motion.
"""

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten

from demo_models import latents
from demo_models.layouts import Layout

ONE = latents.DRAWN  # a constant: says how much of the value zero padding has taken near the edge
SHIFT_X, SHIFT_Y = ONE + 1, ONE + 2  # what an upsampler adds to the centre
KEPT = range(ONE + 1)
LINEAR = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])  # on pixels that have been doubled: bilinear interpolation
NEAREST = np.zeros((3, 3))
NEAREST[1, 1] = 1.0
# Of the motion in a group of four frames, the earlier of two lies a half back, then a quarter; in units of the centre.
TIME_SHIFTS = {0: -1 / 2, 1: -1 / 4}
LAST = 3
Weights = dict[str, np.ndarray]


def weights(vae: nn.Module, layout: Layout) -> dict[str, mx.array]:
    """All of the VAE's parameters; the encoder's, and the last block's until it is trained, are zero."""
    found = {name: _start(name, value.shape) for name, value in tree_flatten(vae.parameters())}
    _identity(found, "post_quant_conv.conv3d.weight", range(latents.CHANNELS))
    _identity(found, "decoder.conv_in.conv3d.weight", range(latents.DRAWN))
    found["decoder.conv_in.conv3d.bias"][ONE] = 1
    for name in found:
        if name.startswith("decoder.") and name.endswith("conv_shortcut.conv3d.weight"):
            _identity(found, name, KEPT)
    for block in range(LAST):
        _upsampler(found, block, layout)
    return {name: mx.array(value) for name, value in found.items()}


def fold(found: dict[str, mx.array], mean: np.ndarray, std: np.ndarray, given: np.ndarray, spread: np.ndarray) -> None:
    """Let the first convolution undo our whitening. The pipeline hands over z * `spread` + `given`, the statistics in
    mlx-gen's own code, where the latents were whitened with `mean` and `std`."""
    kernel = np.zeros((latents.CHANNELS, 1, 1, 1, latents.CHANNELS), np.float32)
    kernel[range(latents.CHANNELS), 0, 0, 0, range(latents.CHANNELS)] = std / spread
    found["post_quant_conv.conv3d.weight"] = mx.array(kernel)
    found["post_quant_conv.conv3d.bias"] = mx.array((mean - given * std / spread).astype(np.float32))


def _start(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.ones(shape, np.float32) if "norm" in name else np.zeros(shape, np.float32)


def _identity(found: Weights, name: str, channels: range) -> None:
    kernel = found[name]  # [out, T, H, W, in]; of a causal kernel the last tap is the present
    present, row, column = kernel.shape[1] - 1, kernel.shape[2] // 2, kernel.shape[3] // 2
    kernel[channels, present, row, column, channels] = 1


def _upsampler(found: Weights, block: int, layout: Layout) -> None:
    residual = layout.kind == "ti2v"  # Wan2.2 adds the upsampler to a shortcut that doubles pixels; Wan2.1 has only it
    name = f"decoder.up_blocks.{block}." + ("upsampler" if residual else "upsamplers.0")
    space = found[f"{name}.resample_conv.weight"]
    for channel in KEPT:
        space[channel, :, :, channel] = LINEAR - NEAREST if residual else LINEAR
    if block in TIME_SHIFTS:
        _time(found[f"{name}.time_conv.conv3d.weight"], TIME_SHIFTS[block])
        for centre, shift in ((latents.CENTRE_X, SHIFT_X), (latents.CENTRE_Y, SHIFT_Y)):
            space[centre, :, :, shift] = LINEAR


def _time(kernel: np.ndarray, shift: float) -> None:
    width = kernel.shape[0] // 2
    for phase in (0, 1):
        for channel in KEPT:
            kernel[phase * width + channel, -1, 0, 0, channel] = 1
    step = shift * latents.MOTION_UNIT / latents.CENTRE_UNIT
    for motion, target in ((latents.MOTION_X, SHIFT_X), (latents.MOTION_Y, SHIFT_Y)):
        kernel[target, -1, 0, 0, motion] = step
