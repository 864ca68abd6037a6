"""How much memory a job will need at its peak, before anything is allocated."""

from dataclasses import dataclass

from django.conf import settings

from fmlx_site.environment import GIB
from inference.models import ModelFolder
from videos.shape import FRAMES_PER_LATENT, SIDE_MULTIPLE

MIB = 1024**2
PATCH = 16


@dataclass(frozen=True, slots=True)
class Constants:
    """`peak = weights · resident + base + max(decode, attention) + margin`, bytes, as the phases follow one another.

    With tokens = (W/16)(H/16): decode is `per_token + per_token_and_width · (the decoder's width)` for each token, and
    attention is `per_pair · heads · (tokens · latent frames)²`, which is nothing where attention is computed in tiles.
    Otherwise frames do not enter (the decoder streams slice by slice), and steps never do.
    """

    base: int
    margin: int
    weights: float = 1.0
    per_token: int = 0
    per_token_and_width: int = 0
    per_pair: int = 0


# A14B on Metal: 480x272 at 18.83 GB and 832x480 at 21.88 GB, low-RAM mode, M5 Max 128 GB, mlx-gen 0.18.14, 2026-06.
# 5B is taken to need no more for each token (its width is 3072 against 5120), and CUDA no more than Metal (both
# compute attention in tiles, in bfloat16). To be replaced by measuring.
TILED = Constants(base=512 * MIB, margin=GIB, per_token=2_900_000)
# CPU: `python -m benchmarks.video_memory` on the demo model (decoder 8 wide, 4 heads), 64x64 to 480x272 and 17 to 81
# frames, low-RAM mode; x86_64 Linux, 2 cores, OpenBLAS, MLX 0.32.4, mlx-gen 0.38.0, 2026-11-21. Weights of 2 bytes on
# disk are computed with in 4; MLX's CPU attention holds all scores of all heads in float32 (seen at 5040 tokens).
# The table in tests/videos/test_predictor.py has the readings. Wider models are this in proportion, not measured.
PLAIN = Constants(base=700_000_000, margin=512 * MIB, weights=2.0, per_token_and_width=550_000, per_pair=4)
CONSTANTS = {
    (pipeline, backend): constants
    for pipeline in ("wan2.2-t2v-a14b", "wan2.2-ti2v-5b")
    for backend, constants in {"metal": TILED, "cuda": TILED, "cpu": PLAIN}.items()
}
# Wan2.2's own sizes (their config.json), for a folder whose configs do not say.
SIZES = {
    "wan2.2-t2v-a14b": {"heads": 40, "decoder_width": 96},
    "wan2.2-ti2v-5b": {"heads": 24, "decoder_width": 256},
}


def predict(
    folder: ModelFolder, width: int, height: int, frames: int, *, step: str = "", low_ram: bool | None = None
) -> int:
    """Bytes to promise a job of this model and shape on the node that has the folder.

    `step` is for a worker that does this one alone; `low_ram` whether weights are held one component at a time or all
    together. Both are as the settings say unless they are given.
    """
    constants = CONSTANTS[folder.pipeline, folder.node.backend]
    sizes: dict[str, int] = {**SIZES[folder.pipeline], **folder.sizes}
    tokens = (width // PATCH) * (height // PATCH)
    latents = (frames - 1) // FRAMES_PER_LATENT + 1
    decode = tokens * (constants.per_token + constants.per_token_and_width * sizes["decoder_width"])
    attention = constants.per_pair * sizes["heads"] * (tokens * latents) ** 2

    def weights(part: str) -> int:
        return int(constants.weights * sizes.get(part, folder.resident_bytes))

    alone = {
        "encode": weights("text_bytes"),
        "denoise": weights("expert_bytes") + attention,
        "decode": weights("vae_bytes") + decode,
        "mux": 0,
    }
    if step:
        working = alone[step]
    elif settings.FMLX.video_staged:
        working = max(alone.values())
    elif settings.FMLX.video_low_ram if low_ram is None else low_ram:
        working = int(constants.weights * folder.resident_bytes) + max(decode, attention)
    else:
        working = weights("all_bytes") + max(decode, attention)
    return working + constants.base + constants.margin


def largest_size(folder: ModelFolder, width: int, height: int, frames: int, most: int) -> tuple[int, int] | None:
    """The largest size of about the same shape whose prediction is at most `most` bytes, if any is."""
    multiple = SIDE_MULTIPLE[folder.pipeline]
    for step in range(99, 0, -1):
        size = tuple(max(multiple, int(side * step / 100) // multiple * multiple) for side in (width, height))
        if predict(folder, size[0], size[1], frames) <= most:
            return size[0], size[1]
    return None
