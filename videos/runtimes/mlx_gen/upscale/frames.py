"""Raw frames on the shelf, read as one clip and made larger as pictures are: what the upscaler starts from."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from memory.protocol import WorkerFailed
from videos.runtimes.mlx_gen.artifacts import Found, Shelf


class Frames:
    """Held open until `close`."""

    def __init__(self, shelf: Shelf, parts: Sequence[Mapping[str, Any]], width: int, height: int) -> None:
        """Raises WorkerFailed: `artifact_missing`, or `worker_error` for frames of another size."""
        self._found: list[Found] = []
        self._places: list[tuple[Found, int]] = []
        self._size = (width, height)
        for part in parts:
            found = shelf.read(str(part["name"]))
            if found is None:
                raise WorkerFailed("artifact_missing", "The raw frames are not there any more.")
            self._found.append(found)
            if found.layout["frames"][1][1:] != (height, width, 3):
                raise WorkerFailed("worker_error", f"The raw frames are not {width}x{height}.")
            self._places += [(found, index) for index in range(part["first"], part["end"])]

    @property
    def count(self) -> int:
        return len(self._places)

    def larger(self, first: int, end: int, width: int, height: int) -> np.ndarray:
        """[T, H, W, 3] from -1 to 1; beyond the last frame, that one again."""
        made = np.empty((end - first, height, width, 3), np.float32)
        for place, number in enumerate(range(first, end)):
            picture = self._frame(min(number, self.count - 1)).resize((width, height), Image.Resampling.BICUBIC)
            made[place] = np.asarray(picture, np.float32) / 127.5 - 1.0
        return made

    def _frame(self, number: int) -> Image.Image:
        found, index = self._places[number]
        size = self._size[0] * self._size[1] * 3
        return Image.frombytes("RGB", self._size, found.bytes("frames", index * size, (index + 1) * size))

    def close(self) -> None:
        for found in self._found:
            found.close()
