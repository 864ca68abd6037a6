"""The video models: whose layout each one has, and how small."""

from dataclasses import dataclass, replace
from typing import Any

from demo_models import latents, scene
from videos.runtimes.mlx_gen.demo_configs import BOUNDARIES, MASK


@dataclass(frozen=True, slots=True)
class Expert:
    """A denoiser and the noise levels that it works at, `low` <= sigma < `high`."""

    component: str
    low: float
    high: float
    seed: int


@dataclass(frozen=True, slots=True)
class Layout:
    """`kind` is the layout's name in demo_configs, `cell` its VAE's pixels per latent, `body` the width of the decoder
    before its last block, `head` that of the last block, which paints `patch` x `patch` pixels at each place;
    `whiten_by_place` is explained in latents.py. `encoder_batch` pictures are shown to its encoder at once; none: it
    has no encoder but zeros. `elder` is the shipped model whose decoder and experts it goes on from."""

    name: str
    kind: str
    cell: int
    body: int
    head: int
    patch: int
    whiten_by_place: bool
    experts: tuple[Expert, ...]
    transformer: dict[str, Any]
    vae: dict[str, Any]
    defaults: dict[str, Any]
    rank: int = -1
    encoder_batch: int = 0
    elder: str = ""


REQUEST = {"size": f"{scene.SIZE}x{scene.SIZE}", "frames": scene.FRAMES, "fps": scene.FPS}
TWO_EXPERTS = {"steps": 12, "guidance_scale": 1.5, "guidance_scale_2": 1.5}
CHANNELS = {"in_channels": latents.CHANNELS, "out_channels": latents.CHANNELS}
BOUNDARY, I2V_BOUNDARY = BOUNDARIES["t2v"], BOUNDARIES["i2v"]
TRANSFORMER = {
    **CHANNELS,
    "num_layers": 4,
    "num_attention_heads": 4,
    "attention_head_dim": 32,
    "ffn_dim": 512,
    "freq_dim": 128,
}

DEMO_VIDEO_5B = Layout(
    name="demo-video-5b",
    kind="ti2v",
    cell=16,
    body=32,
    head=32,
    patch=2,
    whiten_by_place=False,
    experts=(Expert("transformer", 0.0, 1.0, seed=5),),
    transformer=TRANSFORMER,
    vae={"base_dim": 16, "decoder_base_dim": 32, "z_dim": latents.CHANNELS, "dim_mult": [1, 1, 1, 1]},
    defaults={**REQUEST, "steps": 12, "guidance_scale": 1.5},
    encoder_batch=16,
)
DEMO_VIDEO = Layout(
    name="demo-video",
    kind="t2v",
    cell=8,
    body=32,
    head=16,
    patch=1,
    whiten_by_place=True,
    experts=(Expert("transformer", BOUNDARY, 1.0, seed=5), Expert("transformer_2", 0.0, BOUNDARY, seed=6)),
    transformer=TRANSFORMER | {"num_layers": 3},
    vae={"base_dim": 4, "decoder_base_dim": 16, "z_dim": latents.CHANNELS, "dim_mult": [1, 2, 2, 2]},
    defaults={**REQUEST, **TWO_EXPERTS, "encoder": False},
    rank=-2,
)
DEMO_VIDEO_I2V = replace(
    DEMO_VIDEO,
    name="demo-video-i2v",
    kind="i2v",
    experts=(Expert("transformer", I2V_BOUNDARY, 1.0, seed=7), Expert("transformer_2", 0.0, I2V_BOUNDARY, seed=8)),
    transformer=DEMO_VIDEO.transformer | {"in_channels": 2 * latents.CHANNELS + MASK},
    vae=DEMO_VIDEO.vae | {"base_dim": 10},
    defaults={**REQUEST, **TWO_EXPERTS},
    rank=-3,
    encoder_batch=16,
    elder=DEMO_VIDEO.name,
)
