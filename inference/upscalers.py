"""What a folder with SeedVR2's files is: whole or not, and what its memory at the peak depends on."""

import json
from pathlib import Path

from inference.diffusers import check_weights
from inference.engine.unserved import Unserved
from memory.marking import gettext_noop as _

VAE = "ema_vae_fp16.safetensors"
PYTORCH_VAE = "ema_vae.pth"
# Of each pipeline the denoiser's file, as numz/SeedVR2_comfyUI calls it.
DENOISERS = {"seedvr2-3b": "seedvr2_ema_3b_fp16.safetensors", "seedvr2-7b": "seedvr2_ema_7b_fp16.safetensors"}
NORM = "blocks.0.attn.norm_q.vid.weight"
ATTENTION = "blocks.0.attn.proj_qkv.vid.weight"
WIDEST = "decoder.up_blocks.3.resnets.0.conv2.weight"  # of the blocks that work on whole frames


def pipeline_of(root: Path) -> str:
    """Raises Unserved for a folder that is not whole, or has its weights in PyTorch's form."""
    if not (root / VAE).is_file():
        text = _("SeedVR2 is read from safetensors, not from PyTorch's own files: %(denoisers)s with %(vae)s.")
        raise Unserved(text, denoisers=", ".join(DENOISERS.values()), vae=VAE)
    found = next((name for name, file in DENOISERS.items() if (root / file).is_file()), None)
    if found is None:
        text = _("A SeedVR2 folder needs one of these beside its VAE: %(denoisers)s.")
        raise Unserved(text, denoisers=", ".join(DENOISERS.values()))
    check_weights(root)
    return found


def resident_bytes(root: Path, pipeline: str) -> int:
    """Both parts are in memory at the same time."""
    return sum((root / file).stat().st_size for file in (DENOISERS[pipeline], VAE))


def sizes_of(root: Path, pipeline: str) -> dict[str, int]:
    """What memory at the peak depends on: the denoiser's width and heads, and how wide its VAE is on whole frames."""
    denoiser, vae = _shapes(root / DENOISERS[pipeline]), _shapes(root / VAE)
    try:
        inner = denoiser[ATTENTION][0] // 3
        return {"inner_dim": inner, "heads": inner // denoiser[NORM][0], "vae_width": vae[WIDEST][0]}
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise Unserved(_("The weights are not SeedVR2's: %(weight)s is missing."), weight=str(error)) from None


def _shapes(file: Path) -> dict[str, list[int]]:
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    return {name: one["shape"] for name, one in header.items() if name != "__metadata__"}
