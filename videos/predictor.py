"""How much memory a job will need at its peak, before anything is allocated."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from fmlx_site.environment import GIB
from inference.models import ModelFolder
from memory.options import VIDEO_MARGIN
from videos import options
from videos.models import Calibration
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
# compute attention in tiles, in bfloat16). `manage.py measure` replaces them on the machine that it ran on.
TILED = Constants(base=512 * MIB, margin=GIB, per_token=2_900_000)
# CPU: the demo model (decoder 8 wide, 4 heads), 64x64 to 480x272 and 17 to 81
# frames, low-RAM mode; x86_64 Linux, 2 cores, OpenBLAS, MLX 0.32.4, mlx-gen 0.38.0, 2026-11-21. Weights of 2 bytes on
# disk are computed with in 4; MLX's CPU attention holds all scores of all heads in float32 (seen at 5040 tokens).
# The table in tests/videos/test_predictor.py has the readings. Wider models are this in proportion, not measured.
PLAIN = Constants(base=700_000_000, margin=512 * MIB, weights=2.0, per_token_and_width=550_000, per_pair=4)
CONSTANTS = {
    (pipeline, backend): constants
    for pipeline in ("wan2.2-t2v-a14b", "wan2.2-i2v-a14b", "wan2.2-ti2v-5b")
    for backend, constants in {"metal": TILED, "cuda": TILED, "cpu": PLAIN}.items()
}
# Wan2.2's own sizes (their config.json), for a folder whose configs do not say.
SIZES = {
    "wan2.2-t2v-a14b": {"heads": 40, "decoder_width": 96},
    "wan2.2-i2v-a14b": {"heads": 40, "decoder_width": 96},
    "wan2.2-ti2v-5b": {"heads": 24, "decoder_width": 256},
}


@dataclass(frozen=True, slots=True)
class Predictor:
    """`resident` bytes of weights, and the model's `sizes`. Measured up to `measured_tokens`; beyond that, and where
    nothing was measured, no less than `otherwise` is predicted.
    """

    constants: Constants
    resident: int
    sizes: dict[str, int]
    multiple: int
    measured_tokens: int = 0
    otherwise: "Predictor | None" = None
    staged: bool = False  # each step has a worker of its own
    low_ram: bool = True  # one component's weights at a time
    extra_share: float = 0.0  # of the prediction, on top of it

    def peak(self, width: int, height: int, frames: int, step: str = "") -> int:
        """Bytes to promise a clip of this shape, or a worker that does one step of it."""
        own = int((self.measured_peak(width, height, frames, step) + self.constants.margin) * (1 + self.extra_share))
        if self.otherwise and tokens_of(width, height) > self.measured_tokens:
            return max(own, self.otherwise.peak(width, height, frames, step))
        return own

    def measured_peak(self, width: int, height: int, frames: int, step: str = "") -> int:
        """Without the margin."""
        constants = self.constants
        each = constants.per_token + constants.per_token_and_width * self.sizes["decoder_width"]
        decode, attention = tokens_of(width, height) * each, self.attention(width, height, frames)
        alone = {
            "encode": self.weights("text_bytes"),
            "condition": self.weights("vae_bytes") + decode,  # the encoder is never wider than the decoder
            "denoise": self.weights("expert_bytes") + attention,
            "decode": self.weights("vae_bytes") + decode,
            "mux": 0,
        }
        if step or self.staged:
            return constants.base + (alone[step] if step else max(alone.values()))
        together = self.resident if self.low_ram else self.weights("all_bytes")
        return constants.base + together + max(decode, attention)

    def weights(self, part: str) -> int:
        """Bytes in memory; of a folder whose parts are not known, what it keeps at once."""
        return int(self.constants.weights * self.sizes[part]) if part in self.sizes else self.resident

    def attention(self, width: int, height: int, frames: int) -> int:
        latents = (frames - 1) // FRAMES_PER_LATENT + 1
        return self.constants.per_pair * self.sizes["heads"] * (tokens_of(width, height) * latents) ** 2

    def largest_size(self, width: int, height: int, frames: int, most: int) -> tuple[int, int] | None:
        """The largest size of about the same shape whose prediction is at most `most` bytes, if any is."""
        for step in range(99, 0, -1):
            wide, high = (self._rounded(side * step / 100) for side in (width, height))
            if self.peak(wide, high, frames) <= most:
                return wide, high
        return None

    def kept(self) -> dict[str, Any]:
        """The constants as `Calibration` keeps them."""
        return asdict(self.constants)

    def _rounded(self, side: float) -> int:
        return max(self.multiple, int(side) // self.multiple * self.multiple)


def tokens_of(width: int, height: int) -> int:
    return (width // PATCH) * (height // PATCH)


def built_in(folder: ModelFolder) -> Predictor:
    """What is known without having measured anything on this machine."""
    constants = CONSTANTS[folder.pipeline, folder.node.backend]
    resident = int(constants.weights * folder.resident_bytes)
    return Predictor(constants, resident, {**SIZES[folder.pipeline], **folder.sizes}, SIDE_MULTIPLE[folder.pipeline])


def predictor_of(folder: ModelFolder) -> Predictor:
    """By what `manage.py measure` found out about this model on this node, if it ever did. Synchronous."""
    extra = VIDEO_MARGIN.value
    known = replace(built_in(folder), staged=options.STAGED.value, low_ram=options.LOW_RAM.value, extra_share=extra)
    measured = Calibration.objects.filter(
        node=folder.node_id, model=folder.name, pipeline=folder.pipeline, backend=folder.node.backend
    ).first()
    if measured is None:
        return known
    constants: dict[str, Any] = measured.constants
    return replace(known, constants=Constants(**constants), measured_tokens=measured.measured_tokens, otherwise=known)


def predict(folder: ModelFolder, width: int, height: int, frames: int, *, step: str = "") -> int:
    """Bytes to promise a job of this model and shape, or a worker that does one step of it, on the node that has the
    folder. Synchronous."""
    return predictor_of(folder).peak(width, height, frames, step)


def largest_size(folder: ModelFolder, width: int, height: int, frames: int, most: int) -> tuple[int, int] | None:
    """The largest size of about the same shape whose prediction is at most `most` bytes, if any is. Synchronous."""
    return predictor_of(folder).largest_size(width, height, frames, most)
