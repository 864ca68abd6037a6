"""What a clip shows, read from its pixels alone: never from its prompt, its latents or its seed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from demo_models.scene import BACKGROUNDS, COLOURS

BORDER = 3  # pixels that no shape of the grammar reaches
STANDS_OUT = 60  # of 255, in any channel: green on gray, the closest pair, are 98 apart
LEAST_AREA, LARGEST_AREA = 60, 700  # pixels: the grammar's shapes have 200 to 320
LEAST_FRAMES = 8  # of 17
LEAST_PATH = 8.0  # pixels: the grammar's shapes move 20 to 28
FORWARD = 0.4  # of the way covered: without turning back it is 1; with each batch of 8 frames reversed, 0.2
SQUARE_FILL = 0.86  # of its bounding box: a disc fills pi / 4 of it, and a bent square loses up to a tenth of its 1


@dataclass(frozen=True, slots=True)
class Seen:
    """None is what could not be told."""

    colour: str | None
    shape: str | None
    direction: str | None
    background: str | None


def look(frames: np.ndarray) -> Seen:
    """Judge frames uint8 [F, H, W, 3]."""
    pixels, behind, mask = _told_apart(frames)
    areas = mask.sum((1, 2))
    shown = np.where((areas > LEAST_AREA) & (areas < LARGEST_AREA))[0]
    background = _nearest(BACKGROUNDS, behind)
    if len(shown) < LEAST_FRAMES:
        return Seen(None, None, None, background)
    colour = np.median(pixels[shown][mask[shown]], axis=0)
    return Seen(_nearest(COLOURS, colour), _shape(mask[shown]), _direction(mask[shown]), background)


def still(picture: np.ndarray) -> Seen:
    """Judge one picture uint8 [H, W, 3]; it has no direction."""
    return look(np.repeat(picture[None], LEAST_FRAMES, axis=0))


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Pixels between the shapes of two pictures uint8 [H, W, 3]; infinite where one shows none."""
    masks = [_told_apart(picture[None])[2][0] for picture in (one, other)]
    if not all(mask.any() for mask in masks):
        return math.inf
    return math.dist(*map(_centre, masks))


def _told_apart(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels as numbers, the background's colour, and where it is not."""
    pixels = frames.astype(float)
    behind = np.median(_border(pixels), axis=0)
    return pixels, behind, np.abs(pixels - behind).max(-1) > STANDS_OUT


def _border(pixels: np.ndarray) -> np.ndarray:
    sides = (pixels[:, :BORDER], pixels[:, -BORDER:], pixels[:, :, :BORDER], pixels[:, :, -BORDER:])
    return np.concatenate([side.reshape(-1, 3) for side in sides])


def _nearest(palette: Mapping[str, tuple[int, int, int]], colour: np.ndarray) -> str:
    return min(palette, key=lambda name: float(np.abs(np.array(palette[name]) - colour).sum()))


def _direction(mask: np.ndarray) -> str | None:
    """The way that a straight line through its centres goes, if it mostly follows that line."""
    path = np.array([_centre(one) for one in mask])
    slopes = np.polyfit(np.arange(len(path)), path, 1)[0]
    axis = int(np.argmax(np.abs(slopes)))
    moved, covered = slopes[axis] * (len(path) - 1), np.abs(np.diff(path[:, axis])).sum()
    if abs(moved) < max(LEAST_PATH, FORWARD * covered):
        return None
    return (("left", "right"), ("up", "down"))[axis][int(moved > 0)]


def _centre(mask: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(mask)
    return float(columns.mean()), float(rows.mean())


def _shape(mask: np.ndarray) -> str:
    fills = []
    for one in mask:
        rows, columns = np.nonzero(one)
        fills.append(len(rows) / ((np.ptp(rows) + 1) * (np.ptp(columns) + 1)))
    return "square" if np.median(fills) > SQUARE_FILL else "ball"
