"""Named settings of a video model: those it has by itself, and what operators made of them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from ninja.errors import ValidationError
from pydantic import ValidationError as PydanticError

from fmlx_site.audit import Origin, What, record_change
from fmlx_site.errors import FmlxError, InvalidRequest
from inference.api.errors import invalid
from inference.models import ModelFolder
from memory import read
from videos import loras, options, pace
from videos.models import Preset
from videos.predictor import Predictor, predictor_of
from videos.schemas import CreateVideo, LoraAsked, PresetValues
from videos.shape import DEFAULTS, FRAMES_PER_LATENT, SIDE_MULTIPLE, Shape, shape_of

Values = dict[str, Any]
WORDS: dict[str, str | Promise] = {
    "draft": _("Draft"),
    "quick": _("Quick"),
    "480p": _("480p"),
    "720p": _("720p"),
    "portrait": _("Portrait"),
    "square": _("Square"),
}
# Wan2.2's own sizes (README of https://github.com/Wan-Video/Wan2.2), as multiples the pipeline can make.
NAMED_SIZES = {
    "wan2.2-t2v-a14b": {"480p": "832x480", "720p": "1280x720"},
    "wan2.2-i2v-a14b": {"480p": "832x480", "720p": "1280x720"},
    "wan2.2-ti2v-5b": {"480p": "832x480", "720p": "1280x704"},
}
DRAFT_SIDE, DRAFT_LENGTH, DRAFT_STEPS, QUICK_STEPS = 0.5, 0.4, 0.3, 0.4  # of the model's own


def built_in(folder: ModelFolder, found: Mapping[str, loras.Found]) -> dict[str, Values]:
    """In proportion to what the model makes best, so that a small one has small ones; its `fmlx.json` and those of the
    LoRAs that were found may bring more.
    """
    own = {**DEFAULTS[folder.pipeline], **folder.defaults}
    multiple = SIDE_MULTIPLE[folder.pipeline]
    width, height = (int(side) for side in own["size"].split("x"))
    steps, frames = int(own["steps"]), int(own["frames"])

    def size(wide: float, high: float) -> str:
        return "x".join(str(max(multiple, round(side / multiple) * multiple)) for side in (wide, high))

    side = math.sqrt(width * height)
    tall = (
        (height, width) if width > height else (width * 3 / 4, height * 4 / 3) if width == height else (width, height)
    )
    short = max(1, round((frames - 1) * DRAFT_LENGTH / FRAMES_PER_LATENT)) * FRAMES_PER_LATENT + 1
    draft = {"size": size(width * DRAFT_SIDE, height * DRAFT_SIDE), "frames": min(frames, short)}
    own_ones: dict[str, Values] = {
        "draft": draft | {"steps": max(1, round(steps * DRAFT_STEPS))},
        "quick": {"steps": max(1, round(steps * QUICK_STEPS))},
        "portrait": {"size": size(*tall)},
        "square": {"size": size(side, side)},
    }
    if folder.rank >= 0:  # demos are far smaller than these
        own_ones |= {name: {"size": named} for name, named in NAMED_SIZES[folder.pipeline].items()}
    given = {**loras.presets_of(folder, found), **folder.defaults.get("presets", {})}
    return own_ones | {name: dict(values) for name, values in given.items()}


def all_of(folder: ModelFolder) -> dict[str, Values]:
    """Synchronous."""
    stored = dict(Preset.objects.filter(model=folder.name).values_list("name", "values"))
    return {**built_in(folder, loras.all_found()), **stored}


def defaults_with(folder: ModelFolder, preset: str | None) -> Values:
    """What holds where a request says nothing. Synchronous. Raises InvalidRequest."""
    return {**folder.defaults, **values_of(folder, preset)}


def values_of(folder: ModelFolder, preset: str | None) -> Values:
    """What the preset itself sets; nothing where none is named. Synchronous. Raises InvalidRequest."""
    if preset is None:
        return {}
    found = all_of(folder)
    if preset not in found:
        known = ", ".join(sorted(found))
        raise InvalidRequest(f"{folder.name} has no preset {preset!r}; it has {known}.", param="preset")
    return found[preset]


@dataclass(frozen=True, slots=True)
class Estimate:
    """`bytes` at the peak; `seconds` is None while the model has made nothing. `refused` says why it cannot be."""

    name: str
    values: Values
    shape: Shape | None
    bytes: int | None = None
    seconds: float | None = None
    refused: str = ""

    @property
    def word(self) -> str | Promise:
        return WORDS.get(self.name, self.name)


@dataclass(frozen=True, slots=True)
class Basis:
    """What estimates of a model's videos are made from, read once for all of them."""

    predictor: Predictor
    runs: Sequence[pace.Run]

    @classmethod
    def of(cls, folder: ModelFolder) -> Self:
        """Synchronous."""
        return cls(predictor_of(folder), pace.runs_of(folder.name))

    def bytes_of(self, shape: Shape) -> int:
        return self.predictor.peak(shape.width, shape.height, shape.frames)

    def seconds_of(self, shape: Shape) -> float | None:
        asked = pace.Run(shape.width, shape.height, shape.frames, shape.steps, {})
        return sum(pace.of_shape(self.runs, asked).values()) or None


def estimate(
    folder: ModelFolder,
    request: CreateVideo,
    name: str = "",
    values: Values | None = None,
    basis: Basis | None = None,
) -> Estimate:
    """Of what `request` asks of the model. Synchronous."""
    try:
        defaults = {**folder.defaults, **values} if values is not None else defaults_with(folder, request.preset)
        shape = shape_of(request, folder.pipeline, defaults)
    except FmlxError as error:
        return Estimate(name, values or {}, None, refused=read(error.message))
    asked = request.loras if request.loras is not None else [LoraAsked(**one) for one in defaults.get("loras", [])]
    try:
        more = loras.bytes_of(loras.checked(asked, folder))
    except FmlxError as error:
        return Estimate(name, values or {}, shape, refused=read(error.message))
    basis = basis or Basis.of(folder)
    need, seconds = basis.bytes_of(shape) + more, basis.seconds_of(shape)
    most = folder.node.largest_bytes
    refused = str(_("More than this machine can promise.")) if most and need > most else ""
    return Estimate(name, values or {}, shape, need, seconds, refused)


def estimates(folder: ModelFolder) -> list[Estimate]:
    """Of every preset. Synchronous."""
    plain, basis = CreateVideo(prompt="-"), Basis.of(folder)
    return [estimate(folder, plain, name, values, basis) for name, values in all_of(folder).items()]


def checked(values: Mapping[str, Any]) -> Values:
    """Raises InvalidRequest naming the field."""
    try:
        found = PresetValues.model_validate(values)
    except PydanticError as error:
        problems: list[Any] = error.errors(include_url=False)
        raise invalid(ValidationError(problems)) from None
    kept = found.model_dump(exclude_none=True)
    if not kept:
        raise InvalidRequest("A preset sets something: a size, a length, steps or guidance.", param="values")
    if kept.get("steps", 1) > options.MAX_STEPS.value:
        raise InvalidRequest(f"is above this server's limit of {options.MAX_STEPS.value}.", param="steps")
    return kept


def change(folder: ModelFolder, name: str, values: Values | None, origin: Origin) -> None:
    """Set a preset, or with None take back what was set: a built-in one is then as it was. In the audit trail."""
    with transaction.atomic():
        before = all_of(folder).get(name)
        kept = Preset.objects.filter(model=folder.name, name=name)
        if values is None:
            kept.delete()
        else:
            Preset.objects.update_or_create(model=folder.name, name=name, defaults={"values": checked(values)})
        after = all_of(folder).get(name)
        if before != after:
            record_change(What.MODEL, folder.name, {f"preset {name}": before}, {f"preset {name}": after}, origin)
