"""The clips that the models are taught with, drawn and not filmed."""

from dataclasses import dataclass

import numpy as np

from demo_models.grammar import Clip

SIZE, FRAMES, FPS = 64, 17, 8
COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 190, 60),
    "blue": (40, 70, 230),
    "yellow": (240, 220, 40),
    "white": (245, 245, 245),
}
BACKGROUNDS = {"black": (8, 8, 8), "blue": (20, 40, 120), "gray": (128, 128, 128)}
RADIUS = (8.0, 10.0)
START = (18.0, 22.0)  # from the edge: the decoder pads with zeros, which bends what is drawn in the outer 8 pixels
ACROSS = (20.0, 44.0)
SQUARE_SIDE = 0.886  # half the side of a square with the area of a circle of radius 1: sqrt(pi) / 2


@dataclass(frozen=True, slots=True)
class Scene:
    """One clip in pixels: `centres` float64 [F, 2] as (x, y), y downwards."""

    clip: Clip
    centres: np.ndarray
    radius: float

    @classmethod
    def sample(cls, clip: Clip, rng: np.random.Generator) -> "Scene":
        """A random path in the clip's direction."""
        radius, across = rng.uniform(*RADIUS), rng.uniform(*ACROSS)
        along = np.linspace(rng.uniform(*START), SIZE - rng.uniform(*START), FRAMES)
        if clip.direction in ("left", "up"):
            along = along[::-1]
        still = np.full(FRAMES, across)
        horizontal = clip.direction in ("left", "right")
        return cls(clip, np.stack([along, still] if horizontal else [still, along], axis=1), radius)

    @property
    def colour(self) -> np.ndarray:
        return _unit(COLOURS[self.clip.colour])

    @property
    def background(self) -> np.ndarray:
        return _unit(BACKGROUNDS[self.clip.background])

    def coverage(self) -> np.ndarray:
        """How much of each pixel the shape covers: float32 [F, H, W] from 0 to 1, antialiased."""
        grid = np.arange(SIZE) + 0.5
        dx = np.abs(grid[None, None, :] - self.centres[:, 0, None, None])
        dy = np.abs(grid[None, :, None] - self.centres[:, 1, None, None])
        round_ = self.clip.shape == "ball"
        outside = np.hypot(dx, dy) - self.radius if round_ else np.maximum(dx, dy) - self.radius * SQUARE_SIDE
        return np.clip(0.5 - outside, 0, 1).astype(np.float32)

    def frames(self) -> np.ndarray:
        """float32 [F, H, W, 3] from -1 to 1."""
        frames = self.background + self.coverage()[..., None] * (self.colour - self.background)
        return np.asarray(frames, np.float32)

    def pictures(self) -> np.ndarray:
        """uint8 [F, H, W, 3], as they are stored."""
        return np.asarray(((self.frames() + 1) * 127.5).round(), np.uint8)


def picture_of(clip: Clip, seed: int) -> np.ndarray:
    """The first frame of such a clip: uint8 [H, W, 3]."""
    return Scene.sample(clip, np.random.default_rng(seed)).pictures()[0]


def _unit(colour: tuple[int, int, int]) -> np.ndarray:
    return np.array(colour, np.float32) / 127.5 - 1
