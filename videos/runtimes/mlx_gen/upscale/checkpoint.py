"""A SeedVR2 checkpoint on disk, as numz/SeedVR2_comfyUI has them: two safetensors files, and no configuration.

The sizes that a model of the family may have are read from the shapes of its weights; what no shape tells (windows,
rotary embeddings, how text takes part) is mlx-gen's own for the family.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory.protocol import WorkerFailed
from videos.runtimes.mlx_gen import tensors

DENOISER = {"seedvr2-3b": "seedvr2_ema_3b_fp16.safetensors", "seedvr2-7b": "seedvr2_ema_7b_fp16.safetensors"}
VAE = "ema_vae_fp16.safetensors"
BLOCK = re.compile(r"blocks\.(\d+)\.attn\.proj_qkv\.(vid|all)\.weight")
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`root` holds the files of `family`: seedvr2-3b or seedvr2-7b."""

    root: Path
    family: str

    @classmethod
    def of(cls, root: Path) -> "Checkpoint":
        """Raises WorkerFailed: `model_invalid`, for a folder that is no whole checkpoint."""
        family = next((name for name, file in DENOISER.items() if (root / file).is_file()), None)
        if family is None or not (root / VAE).is_file():
            raise WorkerFailed("model_invalid", f"{root} is no SeedVR2 checkpoint: it lacks a denoiser or {VAE}.")
        found = cls(root, family)
        for path in (found.denoiser, found.vae):
            tensors.require_whole(path)
        return found

    @property
    def denoiser(self) -> Path:
        return self.root / DENOISER[self.family]

    @property
    def vae(self) -> Path:
        return self.root / VAE

    def denoiser_sizes(self) -> dict[str, Any]:
        """Of mlx-gen's SeedVR2Transformer, in its words."""
        shapes = _shapes(self.denoiser)
        blocks = [match for match in map(BLOCK.fullmatch, shapes) if match]
        try:
            head, attention = shapes[_norm(shapes)][0], shapes[_first(blocks)][0]
            return {
                "vid_in_channels": shapes["vid_in.proj.weight"][1] // 4,  # a patch of 2 x 2
                "vid_out_channels": shapes["vid_out.proj.weight"][0] // 4,
                "vid_dim": shapes["vid_in.proj.weight"][0],
                "txt_in_dim": shapes["txt_in.weight"][1],
                "heads": attention // (3 * head),
                "head_dim": head,
                "num_layers": 1 + max(int(match[1]) for match in blocks),
                "mm_layers": sum(match[2] == "vid" for match in blocks),
            }
        except (KeyError, IndexError, ValueError) as error:
            raise WorkerFailed("model_invalid", f"{self.denoiser} is no SeedVR2 denoiser: it lacks {error}.") from error

    def vae_sizes(self) -> dict[str, Any]:
        """Of mlx-gen's SeedVR2VAE, in its words."""
        shapes = _shapes(self.vae)
        try:
            widths = [shapes[f"encoder.down_blocks.{block}.resnets.0.conv1.weight"][0] for block in range(4)]
            return {"latent_channels": shapes["decoder.conv_in.weight"][1], "block_out_channels": tuple(widths)}
        except (KeyError, IndexError) as error:
            raise WorkerFailed("model_invalid", f"{self.vae} is no SeedVR2 VAE: it lacks {error}.") from error


def _first(blocks: list[re.Match[str]]) -> str:
    return blocks[0][0] if blocks else "blocks.0.attn.proj_qkv.vid.weight"


def _norm(shapes: Shapes) -> str:
    return next((name for name in shapes if ".attn.norm_q." in name), "blocks.0.attn.norm_q.vid.weight")


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
