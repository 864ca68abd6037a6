"""The forms of the Models page."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from inference.models import SERVED_TYPES, ModelFolder, ModelPlace, ModelSettings

MINUTE = 60
KEPT_AS_IS = ("alias", "type", "pinned", "default", "context_limit")
# As `inference.api.schemas.sampling` has them: name, label, whole number?, least, most.
SAMPLING = (
    ("temperature", gettext_lazy("Temperature"), False, 0, 2),
    ("top_p", gettext_lazy("Top p"), False, 0, 1),
    ("top_k", gettext_lazy("Top k"), True, -1, 2**31 - 1),
    ("min_p", gettext_lazy("Min p"), False, 0, 1),
    ("repetition_penalty", gettext_lazy("Repetition penalty"), False, 0.01, 10),
    ("presence_penalty", gettext_lazy("Presence penalty"), False, -2, 2),
    ("frequency_penalty", gettext_lazy("Frequency penalty"), False, -2, 2),
    ("max_tokens", gettext_lazy("Longest answer, tokens"), True, 1, 2**31 - 1),
)


class DecisionForm(forms.Form):
    """A model's settings; whatever is left empty is the model's own, or the server's."""

    error_css_class = "invalid"

    alias = forms.CharField(
        label=gettext_lazy("Alias"),
        help_text=gettext_lazy("Another name that clients may use."),
        max_length=255,
        required=False,
    )
    type = forms.ChoiceField(
        label=gettext_lazy("Type"), help_text=gettext_lazy("In place of what was found."), required=False
    )
    context_limit = forms.IntegerField(
        label=gettext_lazy("Context limit, tokens"),
        help_text=gettext_lazy("Prompt and answer together; at most the model's own. Holds from the next load on."),
        min_value=1,
        max_value=2**31 - 1,
        required=False,
    )
    idle_minutes = forms.FloatField(
        widget=forms.NumberInput(attrs={"step": "any"}),
        label=gettext_lazy("Unload after, minutes"),
        help_text=gettext_lazy("Without a request for so long; 0 means never. Empty: as the server's settings say."),
        min_value=0,
        max_value=30 * 24 * 60,
        required=False,
    )
    pinned = forms.BooleanField(
        label=gettext_lazy("Pinned"), help_text=gettext_lazy("Loaded at the start, and never evicted."), required=False
    )
    default = forms.BooleanField(
        label=gettext_lazy("Default model"),
        help_text=gettext_lazy("Used when a request names no model."),
        required=False,
    )

    def __init__(
        self, folder: ModelFolder, decided: ModelSettings, data: Any = None, *, readonly: bool = False
    ) -> None:
        super().__init__(data)
        self.folder = folder
        types: Any = self.fields["type"]
        types.choices = [("", _("as found: %(type)s") % {"type": folder.get_type_display()}), *SERVED_TYPES]
        kept = decided.idle_seconds
        self.initial = {name: getattr(decided, name) for name in KEPT_AS_IS} | decided.sampling
        self.initial["idle_minutes"] = None if kept is None else f"{kept / MINUTE:g}"
        self.fields.update(_sampling_fields())
        for field in self.fields.values():
            field.disabled = readonly

    @property
    def first(self) -> list[forms.BoundField]:
        return [self[name] for name in ("alias", "type", "context_limit", "idle_minutes")]

    @property
    def switches(self) -> list[forms.BoundField]:
        return [self["pinned"], self["default"]]

    @property
    def sampling(self) -> list[forms.BoundField]:
        return [self[name] for name, *_rest in SAMPLING]

    def clean_alias(self) -> str:
        alias = str(self.cleaned_data["alias"]).strip()
        if not alias:
            return ""
        others = ModelSettings.objects.exclude(name=self.folder.name)
        if others.filter(alias__iexact=alias).exists() or ModelFolder.objects.filter(name__iexact=alias).exists():
            raise ValidationError(_("Another model is called that already."))
        return alias

    def clean_context_limit(self) -> int | None:
        limit, window = self.cleaned_data["context_limit"], self.folder.context_window
        if limit and window and limit > window:
            raise ValidationError(_("The model itself takes %(most)d tokens at most.") % {"most": window})
        return limit  # type: ignore[no-any-return]

    def decisions(self) -> dict[str, Any]:
        """What was chosen, as `decisions.decide` takes it."""
        given = self.cleaned_data
        minutes = given["idle_minutes"]
        return {
            **{name: given[name] for name in KEPT_AS_IS},
            "idle_seconds": None if minutes is None else round(minutes * MINUTE),
            "sampling": _sampling_of(given),
        }


class ProfileForm(forms.Form):
    """Sampling with a name; whatever is left empty is as the model's settings have it."""

    error_css_class = "invalid"

    name = forms.CharField(
        label=gettext_lazy("Name"),
        help_text=gettext_lazy("Requests ask for it behind the model's name and a colon."),
        max_length=64,
        validators=[validate_slug],
    )

    def __init__(self, data: Any = None, initial: Any = None) -> None:
        super().__init__(data, initial=initial, prefix="profile")
        self.fields.update(_sampling_fields())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and not _sampling_of(cleaned):
            raise ValidationError(_("A profile sets something."))
        return cleaned

    @property
    def values(self) -> dict[str, Any]:
        return _sampling_of(self.cleaned_data)


def _sampling_fields() -> dict[str, forms.Field]:
    fields: dict[str, forms.Field] = {}
    for name, label, whole, least, most in SAMPLING:
        made: Any = forms.IntegerField if whole else forms.FloatField
        fields[name] = made(label=label, required=False, min_value=least, max_value=most)
        if not whole:
            fields[name].widget.attrs["step"] = "any"
    return fields


def labelled(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Sampling as people read it, in the form's order."""
    return [(str(label), values[name]) for name, label, *_rest in SAMPLING if name in values]


def _sampling_of(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name, *_rest in SAMPLING if given.get(name) is not None}


class PlaceForm(forms.ModelForm):  # type: ignore[type-arg]
    error_css_class = "invalid"

    class Meta:
        model = ModelPlace
        fields = ("path",)
        labels = {"path": gettext_lazy("Folder")}  # noqa: RUF012 - never changed
