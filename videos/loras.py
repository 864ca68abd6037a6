"""LoRAs that this machine has, by name: a file, or a folder with one for each expert. No request names a path."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from fmlx_site.errors import InvalidRequest
from inference.models import ModelFolder, searched_folders
from videos.schemas import LoraAsked

FOLDER = "loras"
NAME = re.compile(r"[\w][\w.+-]{0,127}")
SUFFIX = ".safetensors"
SETTINGS = "fmlx.json"
HIGH, LOW = "transformer", "transformer_2"  # the experts, as the runtime calls them
TWO_EXPERTS = frozenset({"wan2.2-t2v-a14b", "wan2.2-i2v-a14b"})
GROWTH = 2  # at most: two bytes on disk are four where bfloat16 is computed with in float32


@dataclass(frozen=True, slots=True)
class Found:
    """`high` and `low` are the same file where there is one for both experts. `presets` are those it brings."""

    name: str
    high: Path | None
    low: Path | None
    presets: dict[str, Any] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in (self.high, self.low) if path)


def folders() -> list[Path]:
    """The house's own first."""
    return [settings.FMLX.home / FOLDER, *(folder / FOLDER for folder in searched_folders())]


def all_found() -> dict[str, Found]:
    """By name; of two with the same, that of the first folder. Synchronous."""
    found: dict[str, Found] = {}
    for folder in folders():
        for lora in _in(folder):
            found.setdefault(lora.name, lora)
    return dict(sorted(found.items()))


def _in(folder: Path) -> Iterator[Found]:
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return
    for path in paths:
        if path.is_file() and path.suffix == SUFFIX and NAME.fullmatch(path.stem):
            yield Found(path.stem, path, path)
        elif path.is_dir() and NAME.fullmatch(path.name) and (lora := _pair(path)):
            yield lora


def _pair(folder: Path) -> Found | None:
    """Of a folder as distilled models come in: a file with `high` and one with `low` in its name, or either."""
    files = sorted(folder.glob(f"*{SUFFIX}"))
    high, low = ([path for path in files if word in path.stem.lower()] for word in ("high", "low"))
    if len(high) > 1 or len(low) > 1 or not (high or low):
        return None
    try:
        told = json.loads((folder / SETTINGS).read_text())
    except (OSError, ValueError):
        told = {}
    brought = told.get("presets", {}) if isinstance(told, dict) else {}
    presets = brought if isinstance(brought, dict) else {}
    return Found(folder.name, high[0] if high else None, low[0] if low else None, presets)


def checked(asked: Sequence[LoraAsked], folder: ModelFolder) -> list[dict[str, Any]]:
    """As jobs keep them: name, and the strength for each expert. Synchronous. Raises InvalidRequest."""
    found = all_found() if asked else {}
    names = [one.name for one in asked]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidRequest(f"The LoRA {twice!r} is there twice.", param="loras")
    return [_checked(one, found, folder) for one in asked]


def _checked(one: LoraAsked, found: dict[str, Found], folder: ModelFolder) -> dict[str, Any]:
    if one.name not in found:
        known = ", ".join(found) or f"none; put them in {FOLDER} of FMLX_HOME or of a models folder"
        raise InvalidRequest(f"There is no LoRA {one.name!r} on this server. It has {known}.", param="loras")
    two_experts = folder.pipeline in TWO_EXPERTS
    if one.strength_low is not None and not two_experts:
        raise InvalidRequest(f"{folder.name} has one expert; leave strength_low out.", param="loras")
    lora = found[one.name]
    high, low = (one.strength if own is None else own for own in (one.strength_high, one.strength_low))
    return {"name": one.name, "high": high if lora.high else 0, "low": low if lora.low and two_experts else 0}


def for_worker(kept: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Files and strengths, for each expert that a LoRA is applied to. One that is gone is told of by the worker."""
    found = all_found() if kept else {}
    spec = []
    for one in kept:
        lora = found.get(one["name"])
        for expert, strength, path in (
            (HIGH, one["high"], lora and lora.high),
            (LOW, one["low"], lora and lora.low),
        ):
            if strength:
                spec.append({"name": one["name"], "expert": expert, "strength": strength, "path": str(path or "")})
    return spec


def bytes_of(kept: Sequence[dict[str, Any]]) -> int:
    """What they add to a job's memory, at most. Synchronous."""
    found = all_found() if kept else {}
    return GROWTH * sum(found[one["name"]].bytes for one in kept if one["name"] in found)


def presets_of(folder: ModelFolder, found: Mapping[str, Found]) -> dict[str, Any]:
    """Those that LoRAs bring for models of this pipeline: the steps, shift, guidance and boundary they are made for."""
    brought: dict[str, Any] = {}
    for lora in found.values():
        for name, values in lora.presets.items():
            if isinstance(values, dict) and values.get("pipeline", folder.pipeline) == folder.pipeline:
                kept = {key: value for key, value in values.items() if key != "pipeline"}
                brought[name] = {"loras": [{"name": lora.name}], **kept}
    return brought
