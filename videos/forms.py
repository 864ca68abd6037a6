"""The form that starts a video. The limits are the server's; `submission` has the last word."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.validators import validate_slug
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fmlx_site.errors import FmlxError
from fmlx_site.widgets import LongSelect
from inference.models import ModelFolder
from videos import lora_rows, loras, options, presets
from videos.inputs import abilities
from videos.lora_rows import LoraField
from videos.models import Preset, VideoJob

CUSTOM = "custom"
SIZES = (
    ("", _("The model's own size")),
    ("832x480", _("480p, wide (832 × 480)")),
    ("480x832", _("480p, tall (480 × 832)")),
    ("640x640", _("Square (640 × 640)")),
    ("1280x704", _("720p, wide (1280 × 704)")),
    ("704x1280", _("720p, tall (704 × 1280)")),
    (CUSTOM, _("Another size…")),
)
SHOWN = ("model", "prompt", "input_reference", "preset", "size", "width", "height", "seconds")
FINE = (
    *("loras", "upscale", "last_frame", "resize_mode", "steps", "seed", "n", "extend_prompt", "frames", "fps"),
    *("guidance_scale", "guidance_scale_2", "flow_shift", "negative_prompt"),
)
PICTURES = ("input_reference", "last_frame")
ACCEPTED = "image/png,image/jpeg,image/webp"
RESIZE_MODES = (
    ("crop", _("Crop it to the size")),
    ("pad", _("Leave black bars")),
    ("adaptive", _("Take a size of the picture's shape")),
)
KNOBS = ("guidance_scale", "guidance_scale_2", "flow_shift")
PROMPT_LENGTH = 32_000


def new_token() -> str:
    return uuid.uuid4().hex


class VideoForm(forms.Form):
    """`fields` of the request under the API's own names, so that its errors find their place."""

    error_css_class = "invalid"

    token = forms.CharField(widget=forms.HiddenInput(attrs={"autocomplete": "off"}), initial=new_token, max_length=64)
    model = forms.ChoiceField(label=_("Model"), widget=LongSelect)
    prompt = forms.CharField(
        label=_("Prompt"),
        max_length=PROMPT_LENGTH,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("What the video shows: subject, movement, light, camera."),
    )
    input_reference = forms.FileField(
        label=_("Start from a picture"),
        required=False,
        widget=forms.FileInput(attrs={"accept": ACCEPTED, "data-picture": ""}),
        help_text=_("PNG, JPEG or WebP. Models that make videos from text alone refuse it."),
    )
    preset = forms.ChoiceField(label=_("Preset"), required=False, help_text=_("Fills in what is left empty below."))
    size = forms.ChoiceField(label=_("Size"), choices=SIZES, required=False)
    width = forms.IntegerField(label=_("Width, pixels"), min_value=16, max_value=16_384, required=False)
    height = forms.IntegerField(label=_("Height, pixels"), min_value=16, max_value=16_384, required=False)
    seconds = forms.FloatField(
        label=_("Length, seconds"),
        min_value=0.01,
        max_value=3600,
        required=False,
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text=_("Empty: as long as the model makes best."),
    )
    last_frame = forms.FileField(
        label=_("End with a picture"),
        required=False,
        widget=forms.FileInput(attrs={"accept": ACCEPTED, "data-picture": ""}),
        help_text=_("For models that make a video between two pictures."),
    )
    resize_mode = forms.ChoiceField(
        label=_("If its shape is another"), choices=RESIZE_MODES, required=False, initial="crop"
    )
    steps = forms.IntegerField(
        label=_("Steps"), min_value=1, required=False, help_text=_("More steps take longer and look cleaner.")
    )
    seed = forms.IntegerField(
        label=_("Seed"),
        min_value=0,
        max_value=2**32 - 1,
        required=False,
        help_text=_("The same seed makes the same video again. Empty: a new one."),
    )
    n = forms.IntegerField(
        label=_("How many"),
        min_value=1,
        max_value=16,
        required=False,
        help_text=_("So many videos, with seeds that follow one another."),
    )
    extend_prompt = forms.ChoiceField(
        label=_("Extend the prompt"),
        choices=(("", _("As the server is set")), ("true", _("yes")), ("false", _("no"))),
        required=False,
        help_text=_("A chat model makes it fuller first."),
    )
    loras = LoraField(
        label=_("LoRAs"),
        required=False,
        help_text=_("Strength 1 where none is given. Those of the preset where none is ticked."),
    )
    upscale = forms.ChoiceField(
        label=_("Make it larger"),
        required=False,
        help_text=_("Twice as wide and as high, when it is finished. If that fails, the video is kept as it is."),
    )
    frames = forms.IntegerField(label=_("Length, frames"), min_value=1, required=False)
    fps = forms.IntegerField(label=_("Frames per second"), min_value=1, max_value=120, required=False)
    guidance_scale = forms.FloatField(
        label=_("Guidance scale"),
        min_value=0,
        max_value=100,
        required=False,
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text=_("How closely the video follows the prompt."),
    )
    guidance_scale_2 = forms.FloatField(
        label=_("Guidance scale, second expert"),
        min_value=0,
        max_value=100,
        required=False,
        widget=forms.NumberInput(attrs={"step": "any"}),
    )
    flow_shift = forms.FloatField(
        label=_("Flow shift"),
        min_value=0.01,
        max_value=100,
        required=False,
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text=_("Higher values spend more steps on the large shapes."),
    )
    negative_prompt = forms.CharField(
        label=_("Negative prompt"),
        max_length=PROMPT_LENGTH,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("What the video should not show."),
    )

    def __init__(
        self, folders: Iterable[ModelFolder], data: Any = None, initial: Any = None, files: Any = None
    ) -> None:
        super().__init__(data, files, initial=initial)
        folders = list(folders)
        found = loras.all_found()
        self._field("model").choices = _video_choices(folders)
        self._field("preset").choices = [("", _("None")), *_preset_names(folders, found)]
        if found:
            self._field("loras").offer(found)
        else:
            del self.fields["loras"]
        if larger := models_of(folders, ModelFolder.Type.UPSCALE):
            self._field("upscale").choices = [("", _("no")), *((name, name) for name in larger)]
        else:
            del self.fields["upscale"]
        self._field("steps").widget.attrs["max"] = options.MAX_STEPS.value
        self._field("frames").widget.attrs["max"] = options.MAX_FRAMES.value

    def _field(self, name: str) -> Any:
        return self.fields[name]

    @property
    def shown(self) -> list[forms.BoundField]:
        return [self[name] for name in SHOWN]

    @property
    def fine(self) -> list[forms.BoundField]:
        """The knobs most people leave alone."""
        return [self[name] for name in FINE if name in self.fields]

    @property
    def fine_open(self) -> bool:
        return any(field.errors or field.value() not in (None, "", [], field.initial) for field in self.fine)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("seconds") is not None and cleaned.get("frames") is not None:
            self.add_error("frames", _("Give the length in seconds or in frames, not in both."))
        if cleaned.get("size") == CUSTOM:
            for side in ("width", "height"):
                if cleaned.get(side) is None and not self.has_error(side):
                    self.add_error(side, _("Another size needs a width and a height."))
        return cleaned

    def body(self) -> dict[str, Any]:
        """What the API would have been sent: only what was filled in."""
        body = {name: self.cleaned_data[name] for name in (*SHOWN, *FINE) if name in self.fields}
        if body["size"] == CUSTOM:
            del body["size"]
        else:
            del body["width"], body["height"]
        if not any(body[name] for name in PICTURES):
            del body["resize_mode"]
        return {name: value for name, value in body.items() if value not in (None, "")}

    def refuse(self, error: FmlxError) -> None:
        """Show why the server refuses, at the field it is about."""
        at = (error.param or "").partition(".")[0]  # loras.0.strength
        self.add_error(at if at in self.fields else None, error.message)


def _video_choices(folders: Iterable[ModelFolder]) -> list[tuple[str, str]]:
    """Those first that need only a prompt: the first of all is chosen when the page opens."""
    folders = list(folders)
    able = abilities.from_text()
    alone = [folder for folder in folders if folder.pipeline not in able]
    needy = set(models_of(alone, ModelFolder.Type.VIDEO))
    names = sorted(models_of(folders, ModelFolder.Type.VIDEO), key=lambda name: name in needy)
    return [(name, gettext("%(name)s (needs a picture)") % {"name": name} if name in needy else name) for name in names]


def _preset_names(folders: Iterable[ModelFolder], found: Mapping[str, loras.Found]) -> list[tuple[str, Any]]:
    """Of all models together; the one that is chosen may lack some, and then says so."""
    able = [folder for folder in folders if folder.type == ModelFolder.Type.VIDEO]
    kinds = {(one.pipeline, one.rank >= 0, *one.defaults.get("presets", ())): one for one in able}
    offered = [name for folder in kinds.values() for name in presets.built_in(folder, found)]
    names = dict.fromkeys([*offered, *Preset.objects.order_by("name").values_list("name", flat=True)])
    return [(name, presets.WORDS.get(name, name)) for name in names]


class PresetForm(forms.Form):
    """Named settings; empty ones are left to the model."""

    error_css_class = "invalid"

    name = forms.CharField(label=_("Name"), max_length=64, validators=[validate_slug])
    size = forms.CharField(label=_("Size"), max_length=11, required=False, help_text="832x480")
    frames = forms.IntegerField(label=_("Length, frames"), min_value=1, required=False)
    fps = forms.IntegerField(label=_("Frames per second"), min_value=1, max_value=120, required=False)
    steps = forms.IntegerField(label=_("Steps"), min_value=1, required=False)
    guidance_scale = forms.FloatField(label=_("Guidance scale"), min_value=0, max_value=100, required=False)
    guidance_scale_2 = forms.FloatField(
        label=_("Guidance scale, second expert"), min_value=0, max_value=100, required=False
    )
    flow_shift = forms.FloatField(label=_("Flow shift"), min_value=0.01, max_value=100, required=False)
    negative_prompt = forms.CharField(
        label=_("Negative prompt"), max_length=PROMPT_LENGTH, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )

    def values(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if name != "name" and value not in (None, "")}

    def refuse(self, error: FmlxError) -> None:
        self.add_error(error.param if error.param in self.fields else None, error.message)


def again(job: VideoJob) -> dict[str, Any]:
    """The form's fields as they were for this job. What it started from is chosen anew."""
    names = (
        *("model", "prompt", "width", "height", "frames", "fps", "steps", "seed"),
        *KNOBS,
        "negative_prompt",
        "preset",
        "upscale",
    )
    found = {name: getattr(job, name) for name in names}
    size = f"{job.width}x{job.height}"
    known = size in dict(SIZES)
    rows = lora_rows.again(job.loras, two_experts=job.pipeline in loras.TWO_EXPERTS)
    kept = {name: value for name, value in found.items() if value is not None}
    return kept | {"size": size if known else CUSTOM, "loras": rows}


def models_of(folders: Iterable[ModelFolder], type_: str) -> list[str]:
    """Names to choose from, each once though several nodes may have it; real models before demos."""
    ranks = {folder.name: folder.rank for folder in folders if folder.type == type_}
    return sorted(ranks, key=lambda name: (-ranks[name], name))
