"""Every setting of one generation, with the model's own defaults filled in and sizes the model can make.

As mlx-gen 0.38.0 resolves them (`Wan2_2_TI2V.generate_video`, `WanVideoRequest.resolve`), which does it only where the
whole model is loaded; the tests compare the frames with mlx-gen's own.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

from memory.protocol import WorkerFailed
from videos.runtimes.mlx_gen.checkpoint import I2V_A14B, T2V_A14B, TI2V_5B, Checkpoint
from videos.runtimes.mlx_gen.spec import Spec

PROMPT_TOKENS = 512  # mlx-gen's default, and Wan's own
DEFAULT_STRENGTH = 0.8  # mlx-gen's
# Of a clip that is continued, so many last frames are given: one where there is room for one only, and otherwise two
# latent frames, which hold its motion (mlx-gen's context frames come in the same number).
HEADS = {"first_frame": 1, "channels": 5, "held": 5}


@dataclass(frozen=True, slots=True)
class Recipe:
    """`latents` is [B, C, T, H, W]; `boundary` is the timestep below which the second expert works, if there is one."""

    prompt: str
    negative_prompt: str | None  # None where guidance is off, and no second text is needed
    width: int
    height: int
    frames: int
    fps: float
    steps: int
    seed: int
    guidance: float
    guidance_2: float | None
    flow_shift: float
    solver: str
    boundary: float | None
    expanded_timesteps: bool
    sigma_schedule: str | None
    latents: tuple[int, int, int, int, int]
    way: str  # how it starts: "" from noise, first_frame, channels, held or edit; see conditions.py
    picture: str
    last_picture: str
    clip: str
    strength: float | None
    head: int  # frames that it begins with and that are given

    @classmethod
    def of(cls, spec: Spec, checkpoint: Checkpoint, config: Any) -> Self:
        """`config` is mlx-gen's ModelConfig. Raises WorkerFailed for a guidance that the model has no place for."""
        known = config.transformer_overrides
        guidance, guidance_2 = _guidance(spec, known, checkpoint)
        vae, (_, tall, wide) = known["vae_config"], known["patch_size"]
        across, along = int(vae["scale_factor_spatial"]), int(vae["scale_factor_temporal"])
        height, width = _up(spec.height, across * tall), _up(spec.width, across * wide)
        frames = spec.frames if spec.frames % along == 1 else spec.frames // along * along + 1
        slices = (frames - 1) // along + 1
        negative = known.get("default_negative_prompt", "") if spec.negative_prompt is None else spec.negative_prompt
        ratio = known.get("boundary_ratio") if spec.boundary_ratio is None else spec.boundary_ratio
        return cls(
            prompt=spec.prompt,
            negative_prompt=str(negative) if guidance > 1.0 else None,
            width=width,
            height=height,
            frames=frames,
            fps=spec.fps,
            steps=spec.steps,
            seed=spec.seed,
            guidance=guidance,
            guidance_2=guidance_2,
            flow_shift=float(known["flow_shift"] if spec.flow_shift is None else spec.flow_shift),
            solver=str(known.get("default_solver", "unipc")),
            boundary=None if ratio is None else float(ratio) * 1000,
            expanded_timesteps=bool(known.get("expand_timesteps", True)),
            sigma_schedule=known.get("unipc_flow_sigma_schedule"),
            latents=(1, int(vae["z_dim"]), slices, height // across, width // across),
            way=(way := way_of(spec, checkpoint.pipeline)),
            picture=spec.picture,
            last_picture=spec.last_picture,
            clip=spec.clip,
            strength=spec.strength,
            head=HEADS.get(way, 0) if spec.clip else min(1, HEADS.get(way, 0)),
        )

    @property
    def texts(self) -> list[str]:
        return [self.prompt] if self.negative_prompt is None else [self.prompt, self.negative_prompt]

    @property
    def denoising(self) -> dict[str, Any]:
        """What the latents depend on beside the embeddings, the condition and the weights."""
        names = ("steps", "seed", "guidance", "guidance_2", "flow_shift", "solver", "boundary", "sigma_schedule")
        return {name: getattr(self, name) for name in (*names, "expanded_timesteps", "latents", "way", "strength")}

    @property
    def conditioning(self) -> dict[str, Any]:
        """What the condition depends on beside the weights."""
        names = ("way", "picture", "last_picture", "clip", "head", "frames", "width", "height")
        return {name: getattr(self, name) for name in names}

    @property
    def skipped(self) -> int:
        """The first steps, which a clip that is made from another's latents leaves out: those with more noise than its
        strength asks for."""
        if self.way != "edit":
            return 0
        kept = int(self.steps * (DEFAULT_STRENGTH if self.strength is None else self.strength))
        return self.steps - min(max(kept, 1), self.steps)

    @property
    def steps_left(self) -> int:
        return self.steps - self.skipped

    @property
    def used(self) -> dict[str, Any]:
        """For the manifest: what differs from what was asked where the model has defaults or needs other sizes."""
        return {
            "frames": self.frames,
            "fps": self.fps,
            "width": self.width,
            "height": self.height,
            "duration_seconds": round(self.frames / self.fps, 6),
            "steps": self.steps,
            "seed": self.seed,
            "guidance_scale": self.guidance,
            "guidance_scale_2": self.guidance_2,
            "flow_shift": self.flow_shift,
        }


def way_of(spec: Spec, pipeline: str) -> str:
    """Raises WorkerFailed for what the model cannot start from."""
    if not spec.picture and not spec.clip:
        if pipeline == I2V_A14B:
            raise WorkerFailed("worker_error", f"{spec.model_dir.name} makes clips from a picture, and none was sent.")
        return ""
    if spec.strength is not None:
        ways = {T2V_A14B: "edit"}
    elif spec.clip:
        ways = {TI2V_5B: "first_frame", I2V_A14B: "channels", T2V_A14B: "held"}
    else:
        ways = {TI2V_5B: "first_frame", I2V_A14B: "channels"}
    if pipeline not in ways or (spec.last_picture and ways[pipeline] != "channels"):
        raise WorkerFailed("worker_error", f"{spec.model_dir.name} cannot start from what was sent to it.")
    return ways[pipeline]


def _up(side: int, multiple: int) -> int:
    return multiple * max(1, math.ceil(side / multiple))


def _guidance(spec: Spec, known: dict[str, Any], checkpoint: Checkpoint) -> tuple[float, float | None]:
    asked, default_2 = spec.guidance_scale, known.get("default_guidance_2")
    first = float(known.get("default_guidance", 5.0) if asked is None else asked)
    if spec.guidance_scale_2 is not None:
        if not checkpoint.has_second_expert:
            raise WorkerFailed(
                "worker_error",
                f"guidance_scale_2 is for models with two experts; {checkpoint.root.name} has one. Leave it out.",
            )
        return first, float(spec.guidance_scale_2)
    if default_2 is None:
        return first, None
    return first, float(default_2) if asked is None else first
