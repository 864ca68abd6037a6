"""What a diffusers folder is: which pipeline, whole or not, and how much of it is in memory at one time."""

import json
from pathlib import Path
from typing import Any

# A root's `_class_name` and whether it has a second expert → the pipeline of mlx-gen that runs it.
PIPELINES = {
    ("WanPipeline", True): "wan2.2-t2v-a14b",
    ("WanPipeline", False): "wan2.2-ti2v-5b",
    ("WanImageToVideoPipeline", True): "wan2.2-i2v-a14b",
}
COMPONENTS = ("transformer", "transformer_2", "text_encoder", "vae", "tokenizer")
DENOISERS = ("transformer", "transformer_2")
INDEX_SUFFIX = ".safetensors.index.json"


class Unusable(Exception):
    """Why a folder is not served, as a sentence."""


def pipeline_of(root: Path) -> str:
    """Raises Unusable for a pipeline this server has no runtime for, or a root that is not whole."""
    index = read_json(root / "model_index.json")
    name = index.get("_class_name")
    if not name:
        raise Unusable("model_index.json names no pipeline class.")
    wanted = [part for part in COMPONENTS if isinstance(index.get(part), list) and index[part][0]]
    pipeline = PIPELINES.get((str(name), "transformer_2" in wanted))
    if not pipeline:
        served = ", ".join(sorted({cls for cls, _ in PIPELINES}))
        raise Unusable(f"{name} pipelines are not served; these are: {served}.")
    for part in wanted:
        _check_component(root / part)
    return pipeline


def _check_component(folder: Path) -> None:
    if not folder.is_dir():
        raise Unusable(f"The component {folder.name} is missing: the download is not complete.")
    if folder.name != "tokenizer":
        check_weights(folder)


def check_weights(folder: Path) -> None:
    """Raises Unusable when a folder's safetensors are missing, short, or still being downloaded."""
    if list(folder.glob("*.incomplete")) or list(folder.glob("*.part")):
        raise Unusable(f"A file in {folder.name} is still being downloaded.")
    present = {file.name for file in folder.glob("*.safetensors")}
    for index in folder.glob(f"*{INDEX_SUFFIX}"):
        missing = set(read_json(index).get("weight_map", {}).values()) - present
        if missing:
            raise Unusable(f"{len(missing)} weight files of {folder.name} are missing, {min(missing)} for one.")
    if not present:
        raise Unusable(f"There are no safetensors weights in {folder.name}.")
    for name in present:
        _check_length(folder / name)


def _check_length(file: Path) -> None:
    """A safetensors file says in its header how long it is: 8 bytes of length, JSON, then the data."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if length <= file.stat().st_size else None
    except (ValueError, OSError) as error:
        raise Unusable(f"{file.parent.name}/{file.name} is not a safetensors file: {error}.") from None
    ends = [t["data_offsets"][1] for name, t in (header or {}).items() if name != "__metadata__"]
    if header is None or file.stat().st_size < 8 + length + max(ends, default=0):
        raise Unusable(f"{file.parent.name}/{file.name} is shorter than its header says: the download is not complete.")


def weight_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def resident_bytes(root: Path) -> int:
    """Most bytes of weights in memory at one time in low-RAM mode: the steps load their own component and drop it."""
    experts = max((weight_bytes(root / part) for part in DENOISERS), default=0)
    return max(experts, weight_bytes(root / "text_encoder"), weight_bytes(root / "vae"))


def sizes_of(root: Path) -> dict[str, int]:
    """What memory at the peak depends on: the denoiser's heads, the decoder's width, and each component's weights."""
    denoiser, vae = (read_json(root / part / "config.json") for part in ("transformer", "vae"))
    found = {
        "heads": denoiser.get("num_attention_heads"),
        "decoder_width": vae.get("decoder_base_dim") or vae.get("base_dim"),
        "text_bytes": weight_bytes(root / "text_encoder"),
        "expert_bytes": max(weight_bytes(root / part) for part in DENOISERS),
        "vae_bytes": weight_bytes(root / "vae"),
        "all_bytes": sum(weight_bytes(root / part) for part in (*DENOISERS, "text_encoder", "vae")),
    }
    return {name: size for name, size in found.items() if isinstance(size, int) and size > 0}


def read_json(path: Path) -> dict[str, Any]:
    """Raises Unusable for a file that cannot be read as a JSON object."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Unusable(f"{path.name} cannot be read: {error}.") from None
    if not isinstance(value, dict):
        raise Unusable(f"{path.name} is not a JSON object.")
    return value
