"""A large picture in tiles that overlap, and their edges blended into one another. Only arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Tile:
    """Pixels from `top` and `left` on, both included, to before `bottom` and `right`."""

    top: int
    left: int
    bottom: int
    right: int


def tiles(height: int, width: int, side: int, overlap: int) -> list[Tile]:
    """Of at most `side` pixels each way, the last of a row or column moved back to end with the picture."""
    rows, columns = _starts(height, side, overlap), _starts(width, side, overlap)
    return [Tile(y, x, min(y + side, height), min(x + side, width)) for y in rows for x in columns]


def _starts(length: int, side: int, overlap: int) -> list[int]:
    if length <= side:
        return [0]
    return [*range(0, length - side, side - overlap), length - side]


def weight(tile: Tile, height: int, width: int, overlap: int) -> np.ndarray:
    """[h, w] of a tile: 1 in its middle, falling to nearly 0 over the overlap where another tile goes on."""
    down = _ramp(tile.bottom - tile.top, overlap, before=tile.top > 0, after=tile.bottom < height)
    across = _ramp(tile.right - tile.left, overlap, before=tile.left > 0, after=tile.right < width)
    return np.outer(down, across)


def _ramp(length: int, overlap: int, *, before: bool, after: bool) -> np.ndarray:
    rising = (np.arange(overlap, dtype=np.float32) + 1) / (overlap + 1)
    found = np.ones(length, np.float32)
    if before:
        found[:overlap] *= rising
    if after:
        found[length - overlap :] *= rising[::-1]
    return found


class Canvas:
    """Frames [T, H, W, 3] of uint8 that are put together from tiles of values from -1 to 1."""

    def __init__(self, frames: int, height: int, width: int, overlap: int) -> None:
        self._sum = np.zeros((frames, height, width, 3), np.float32)
        self._weights = np.zeros((height, width, 1), np.float32)
        self._overlap = overlap

    def add(self, tile: Tile, values: np.ndarray) -> None:
        """`values` are [T, h, w, 3]."""
        _, height, width, _ = self._sum.shape
        share = weight(tile, height, width, self._overlap)[..., None]
        self._sum[:, tile.top : tile.bottom, tile.left : tile.right] += values * share
        self._weights[tile.top : tile.bottom, tile.left : tile.right] += share

    def frames(self, first: int, end: int) -> Iterator[np.ndarray]:
        for frame in self._sum[first:end]:
            levels = (frame / self._weights + 1.0) * 127.5
            yield np.clip(np.rint(levels), 0, 255).astype(np.uint8)
