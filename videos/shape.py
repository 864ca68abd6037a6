"""From what a client asked for to what will be made: sizes, frames and steps a Wan model can do."""

import math
import secrets
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext_lazy as _

from fmlx_site.errors import InvalidRequest
from videos import options
from videos.schemas import CreateVideo

# Latent frames cover 4 frames each after the first; a side is patches of 2 latents of 8 (or 16) pixels.
# mlx-gen 0.38 `Wan2_2_TI2V.generate_video` rounds the same way, silently.
FRAMES_PER_LATENT = 4
SIDE_MULTIPLE = {"wan2.2-t2v-a14b": 16, "wan2.2-i2v-a14b": 16, "wan2.2-ti2v-5b": 32}

# The models' own 480p recipes: https://github.com/Wan-Video/Wan2.2, wan/configs.
DEFAULTS: dict[str, dict[str, Any]] = {
    "wan2.2-t2v-a14b": {"size": "832x480", "frames": 81, "fps": 16, "steps": 40},
    "wan2.2-i2v-a14b": {"size": "832x480", "frames": 81, "fps": 16, "steps": 40},
    "wan2.2-ti2v-5b": {"size": "1280x704", "frames": 121, "fps": 24, "steps": 50},
}

PIXELS = _("%(value)d pixels a frame is above this server's limit of %(limit)d pixels a frame.")
FRAMES = _("%(value)d frames is above this server's limit of %(limit)d frames.")
STEPS = _("%(value)d steps is above this server's limit of %(limit)d steps.")


@dataclass(frozen=True, slots=True)
class Shape:
    width: int
    height: int
    frames: int
    fps: int
    steps: int
    seed: int


def shape_of(request: CreateVideo, pipeline: str, defaults: dict[str, Any]) -> Shape:
    """The shape that will be made.

    Raises:
        InvalidRequest: above a limit of this server; names the field and the limit.
    """
    merged = {**DEFAULTS[pipeline], **defaults}
    fps = request.fps or int(merged["fps"])
    width, height = _sides(request, merged["size"], SIDE_MULTIPLE[pipeline])
    frames = _frames(request, fps, int(merged["frames"]))
    shape = Shape(
        width=width,
        height=height,
        frames=frames,
        fps=fps,
        steps=request.steps or int(merged["steps"]),
        seed=request.seed if request.seed is not None else secrets.randbelow(2**31),
    )
    size_field = "width" if request.width else "height" if request.height else "size"
    check(shape, size_field=size_field, frames_field="frames" if request.frames else "seconds")
    return shape


def _sides(request: CreateVideo, default: str, multiple: int) -> tuple[int, int]:
    width, height = (int(side) for side in (request.size or default).split("x"))
    return _up(request.width or width, multiple), _up(request.height or height, multiple)


def _up(side: int, multiple: int) -> int:
    return multiple * max(1, math.ceil(side / multiple))


def _frames(request: CreateVideo, fps: int, default: int) -> int:
    return rounded_up(request.frames or (request.seconds * fps if request.seconds else default))


def rounded_up(frames: float) -> int:
    """To whole groups of latent frames after the first."""
    return FRAMES_PER_LATENT * math.ceil(max(0, frames - 1) / FRAMES_PER_LATENT) + 1


def check(shape: Shape, *, size_field: str, frames_field: str) -> None:
    """Raises InvalidRequest above a limit of this server; names the field and the limit."""
    pixels = shape.width * shape.height
    for field, value, limit, sentence in (
        (size_field, pixels, options.MAX_PIXELS.value, PIXELS),
        (frames_field, shape.frames, options.MAX_FRAMES.value, FRAMES),
        ("steps", shape.steps, options.MAX_STEPS.value, STEPS),
    ):
        if value > limit:
            raise InvalidRequest(sentence % {"value": value, "limit": limit}, param=field)
