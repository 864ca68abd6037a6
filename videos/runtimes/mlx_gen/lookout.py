"""The clip as it forms: a small animated WebP of what the latents look like by a linear map, made beside the work."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import mlx.core as mx
import numpy as np
from PIL import Image

from videos.runtimes.mlx_gen.colours import Colours

NAME = "preview.webp"
EVERY_SECONDS = 1.0
SHARE = 0.01  # of the compute thread's time, at most
LONG_SIDE = 192
MOST_FRAMES = 24
QUALITY = 60


class Lookout:
    """Of one job. The compute thread only copies latents, when it is time to; another turns them into a file.

    `tell(number)` is called by that thread when preview `number` is whole under its name. Without a map, which comes
    from the first clip that a VAE decodes, nothing is made.
    """

    def __init__(self, colours: Colours | None, folder: Path, fps: float, tell: Callable[[int], None]) -> None:
        self._map = colours.map() if colours else None
        self._path, self._fps, self._tell = folder / NAME, fps, tell
        self._writer = ThreadPoolExecutor(1, "preview")
        self._writing: Future[None] | None = None
        self._due = 0.0
        self.made, self.compute_seconds, self.writer_seconds = 0, 0.0, 0.0

    def offer(self, latents: mx.array) -> None:
        """`latents` [1, C, T, H, W], computed already."""
        if self._map is None or time.monotonic() < self._due or (self._writing and not self._writing.done()):
            return
        began = time.monotonic()
        self._settle()
        copied = np.array(latents[0].astype(mx.float32))
        held_up = time.monotonic() - began
        self.compute_seconds += held_up
        self._due = began + max(EVERY_SECONDS, held_up / SHARE)
        self._writing = self._writer.submit(self._write, copied, self._map)

    def close(self) -> None:
        """The job has ended: so has its preview."""
        self._writer.shutdown()
        self._settle()
        self._path.unlink(missing_ok=True)

    def account(self) -> dict[str, float]:
        """For the manifest: how many were made, and the seconds of the compute thread and the other."""
        seconds = {"compute_seconds": round(self.compute_seconds, 6), "writer_seconds": round(self.writer_seconds, 6)}
        return {"made": self.made, **seconds}

    def _write(self, latents: np.ndarray, colours: np.ndarray) -> None:
        began = time.monotonic()
        pictures = [_picture(latents[:, place], colours) for place in _spread(latents.shape[1])]
        part = self._path.with_name(f".{NAME}.part")
        lasts = round(1000 * _seconds(latents.shape[1], self._fps) / len(pictures))
        animated = {"save_all": True, "append_images": pictures[1:], "duration": lasts, "loop": 0}
        pictures[0].save(part, format="WEBP", quality=QUALITY, method=0, **animated)
        part.replace(self._path)
        self.made += 1
        self.writer_seconds += time.monotonic() - began
        self._tell(self.made)

    def _settle(self) -> None:
        """A preview that could not be made costs the job nothing but the preview."""
        if self._writing and (error := self._writing.exception()):
            sys.stderr.write(f"A preview could not be made: {error}\n")
        self._writing = None


def _spread(total: int) -> list[int]:
    """Places in time, evenly, `MOST_FRAMES` at most."""
    count = min(total, MOST_FRAMES)
    return [round(place * (total - 1) / max(count - 1, 1)) for place in range(count)]


def _seconds(slices: int, fps: float) -> float:
    """A latent slice is four frames, the first one."""
    return (4 * (slices - 1) + 1) / fps


def _picture(latents: np.ndarray, colours: np.ndarray) -> Image.Image:
    """Of [C, H, W]."""
    channels, high, wide = latents.shape
    seen = latents.reshape(channels, -1).T @ colours[:-1] + colours[-1]
    pixels = np.clip(seen, 0, 255).astype(np.uint8).reshape(high, wide, 3)
    scale = LONG_SIDE / max(high, wide)
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)
