"""How much memory a job will need at its peak, before anything is allocated."""

from dataclasses import dataclass

from fmlx_site.environment import GIB
from inference.models import ModelFolder
from videos.shape import SIDE_MULTIPLE

MIB = 1024**2
PATCH = 16


@dataclass(frozen=True, slots=True)
class Constants:
    """`peak = resident weights + base + per_token · (W/16)(H/16) + margin`, bytes. Frames and steps do not enter:
    at a given size, attention over all frames is computed in tiles and the decoder streams slice by slice."""

    base: int
    per_token: int
    margin: int


# per_token of A14B: 480x272 at 18.83 GB and 832x480 at 21.88 GB, low-RAM mode, M5 Max 128 GB, mlx-gen 0.18.14, 2026-06.
# per_token of 5B is taken to be no more than A14B's (its width is 3072 against 5120). To be replaced by measuring.
CONSTANTS = {
    "wan2.2-t2v-a14b": Constants(base=512 * MIB, per_token=2_900_000, margin=GIB),
    "wan2.2-ti2v-5b": Constants(base=512 * MIB, per_token=2_900_000, margin=GIB),
}


def predict(folder: ModelFolder, width: int, height: int) -> int:
    """Bytes to promise a job of this model and size."""
    constants = CONSTANTS[folder.pipeline]
    tokens = (width // PATCH) * (height // PATCH)
    return folder.resident_bytes + constants.base + constants.per_token * tokens + constants.margin


def largest_size(folder: ModelFolder, width: int, height: int, most: int) -> tuple[int, int] | None:
    """The largest size of about the same shape whose prediction is at most `most` bytes, if any is."""
    multiple = SIDE_MULTIPLE[folder.pipeline]
    for step in range(99, 0, -1):
        size = tuple(max(multiple, int(side * step / 100) // multiple * multiple) for side in (width, height))
        if predict(folder, size[0], size[1]) <= most:
            return size[0], size[1]
    return None
