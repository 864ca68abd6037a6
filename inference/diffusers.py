"""What a diffusers folder is: which pipeline, whole or not, and how much of it is in memory at one time."""

import json
from pathlib import Path
from typing import Any

from inference.engine.unserved import Unserved
from memory.marking import gettext_noop as _

# A root's `_class_name` and whether it has a second expert → the pipeline of mlx-gen that runs it.
PIPELINES = {
    ("WanPipeline", True): "wan2.2-t2v-a14b",
    ("WanPipeline", False): "wan2.2-ti2v-5b",
    ("WanImageToVideoPipeline", True): "wan2.2-i2v-a14b",
}
NEEDS_PICTURE = "wan2.2-i2v-a14b"  # makes nothing of a text alone
COMPONENTS = ("transformer", "transformer_2", "text_encoder", "vae", "tokenizer")
DENOISERS = ("transformer", "transformer_2")
INDEX_SUFFIX = ".safetensors.index.json"


def pipeline_of(root: Path) -> str:
    """Raises Unserved for a pipeline this server has no runtime for, or a root that is not whole."""
    index = read_json(root / "model_index.json")
    name = index.get("_class_name")
    if not name:
        raise Unserved(_("model_index.json names no pipeline class."))
    wanted = [part for part in COMPONENTS if isinstance(index.get(part), list) and index[part][0]]
    pipeline = PIPELINES.get((str(name), "transformer_2" in wanted))
    if not pipeline:
        served = ", ".join(sorted({cls for cls, _ in PIPELINES}))
        raise Unserved(_("%(name)s pipelines are not served; these are: %(served)s."), name=str(name), served=served)
    for part in wanted:
        _check_component(root / part)
    return pipeline


def _check_component(folder: Path) -> None:
    if not folder.is_dir():
        raise Unserved(_("The component %(part)s is missing: the download is not complete."), part=folder.name)
    if folder.name != "tokenizer":
        check_weights(folder)


def check_weights(folder: Path) -> None:
    """Raises Unserved when a folder's safetensors are missing, short, or still being downloaded."""
    if list(folder.glob("*.incomplete")) or list(folder.glob("*.part")):
        raise Unserved(_("A file in %(folder)s is still being downloaded."), folder=folder.name)
    present = {file.name for file in folder.glob("*.safetensors")}
    for index in folder.glob(f"*{INDEX_SUFFIX}"):
        missing = set(read_json(index).get("weight_map", {}).values()) - present
        if missing:
            text = _("Weight files of %(folder)s that are missing: %(count)s, %(file)s for one.")
            raise Unserved(text, count=len(missing), folder=folder.name, file=min(missing))
    if not present:
        raise Unserved(_("There are no safetensors weights in %(folder)s."), folder=folder.name)
    for name in present:
        _check_length(folder / name)


def _check_length(file: Path) -> None:
    """A safetensors file says in its header how long it is: 8 bytes of length, JSON, then the data."""
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if length <= file.stat().st_size else None
    except (ValueError, OSError) as error:
        text = _("%(file)s is not a safetensors file: %(why)s.")
        raise Unserved(text, file=f"{file.parent.name}/{file.name}", why=str(error)) from None
    ends = [t["data_offsets"][1] for name, t in (header or {}).items() if name != "__metadata__"]
    if header is None or file.stat().st_size < 8 + length + max(ends, default=0):
        text = _("%(file)s is shorter than its header says: the download is not complete.")
        raise Unserved(text, file=f"{file.parent.name}/{file.name}")


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
    """Raises Unserved for a file that cannot be read as a JSON object."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Unserved(_("%(file)s cannot be read: %(why)s."), file=path.name, why=str(error)) from None
    if not isinstance(value, dict):
        raise Unserved(_("%(file)s is not a JSON object."), file=path.name)
    return value
