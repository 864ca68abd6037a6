"""What a VAE's latents look like, roughly: a linear map to RGB, by least squares from clips that it decoded."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL.Image import Image

ENOUGH_CLIPS = 4
RIDGE = 1e-4  # of the mean square of the latents: one still, one-coloured clip leaves most directions open
FRAMES_PER_LATENT = 4


class Colours:
    """Of one VAE, in a file named by its fingerprint: the sums that least squares need, over the clips so far."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._path = folder / f"colours-{fingerprint}.json"

    def map(self) -> np.ndarray | None:
        """float32 [C + 1, 3]: a row for each channel, and what is added. None until a clip was decoded."""
        if not (known := self._read()):
            return None
        squares, products = np.array(known["squares"]), np.array(known["products"])
        ridge = RIDGE * np.trace(squares) / len(squares) * np.eye(len(squares))
        solved: np.ndarray = np.linalg.solve(squares + ridge, products).astype(np.float32)
        return solved

    @property
    def wanting(self) -> bool:
        known = self._read()
        return not known or known["clips"] < ENOUGH_CLIPS

    def learn(self, latents: np.ndarray, seen: np.ndarray) -> None:
        """From `latents` [C, T, H, W] and the mean colours of what they became, `seen` [T, H, W, 3] of 0 to 255."""
        channels = len(latents)
        inputs = np.concatenate([latents.reshape(channels, -1), np.ones((1, seen[..., 0].size))]).astype(np.float64)
        squares, products = inputs @ inputs.T, inputs @ seen.reshape(-1, 3).astype(np.float64)
        known = self._read()
        if known:
            squares, products = squares + np.array(known["squares"]), products + np.array(known["products"])
        clips = (known["clips"] if known else 0) + 1
        self._write({"clips": clips, "squares": squares.tolist(), "products": products.tolist()})

    def _read(self) -> dict[str, Any] | None:
        try:
            known: dict[str, Any] = json.loads(self._path.read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            sys.stderr.write(f"{self._path} cannot be read and is made anew: {error}\n")
            return None
        return known

    def _write(self, known: dict[str, Any]) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        part.write_text(json.dumps(known))
        part.replace(self._path)


class Watcher:
    """Sees the frames of a clip pass by, and keeps the mean colour of every latent's place in them."""

    def __init__(self, slices: int, high: int, wide: int) -> None:
        self._sums = np.zeros((slices, high, wide, 3), np.float64)
        self._counts = np.zeros(slices)

    def watch(self, frames: Iterator[Image]) -> Iterator[Image]:
        _, high, wide, _ = self._sums.shape
        for index, frame in enumerate(frames):
            pixels = np.asarray(frame, np.float32)
            blocks = pixels.reshape(high, pixels.shape[0] // high, wide, pixels.shape[1] // wide, 3)
            place = -(-index // FRAMES_PER_LATENT)
            self._sums[place] += blocks.mean(axis=(1, 3))
            self._counts[place] += 1
            yield frame

    def seen(self) -> np.ndarray:
        seen: np.ndarray = self._sums / self._counts[:, None, None, None]
        return seen
