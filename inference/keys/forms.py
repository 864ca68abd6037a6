"""The form of a key."""

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from fmlx_site.widgets import Boxes
from inference.models import LIMITS, ApiKey, ModelFolder, ModelSettings, Scope

USUAL = (Scope.CHAT, Scope.EMBEDDINGS, Scope.VIDEOS)  # what who may make keys, and not change them, may give


class KeyForm(forms.Form):
    """`user` may give every scope if they may change keys of others, and else the usual ones."""

    error_css_class = "invalid"

    name = forms.CharField(label=_("Name"), max_length=100, help_text=_("Who or what uses it, to tell keys apart."))
    scopes = forms.MultipleChoiceField(label=_("May be used for"), widget=Boxes)
    allowed_models = forms.MultipleChoiceField(
        label=_("Models"),
        required=False,
        widget=Boxes,
        help_text=_("For this key there are no others. None chosen: all models, also those that come later."),
    )
    expires_at = forms.DateField(
        label=_("Last day"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=_("It works until the end of this day in UTC. Empty: for good."),
    )
    priority = forms.IntegerField(
        label=_("Priority of its videos"),
        min_value=-100,
        max_value=100,
        required=False,
        help_text=_("Videos of a higher one go first in the queue. Empty is 0."),
    )
    requests_per_minute = forms.IntegerField(label=_("Requests a minute"), required=False, min_value=0)
    requests_per_day = forms.IntegerField(label=_("Requests a day"), required=False, min_value=0)
    tokens_per_minute = forms.IntegerField(label=_("Tokens a minute"), required=False, min_value=0)
    tokens_per_day = forms.IntegerField(label=_("Tokens a day"), required=False, min_value=0)
    concurrent_requests = forms.IntegerField(label=_("Requests at one time"), required=False, min_value=0)

    def __init__(self, user: Any, data: Any = None, key: ApiKey | None = None) -> None:
        super().__init__(data, initial=_initial(key) if key else {"scopes": list(USUAL)})
        scopes: list[Scope] = list(Scope) if user.has_perm("inference.change_apikey") else list(USUAL)
        self._choices("scopes", [(one, one.label) for one in scopes])
        self._choices("allowed_models", [(name, name) for name in _models(key)])

    def _choices(self, name: str, choices: list[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101 - for mypy
        field.choices = choices

    def clean_priority(self) -> int:
        return int(self.cleaned_data["priority"] or 0)

    def clean_expires_at(self) -> datetime | None:
        day = self.cleaned_data["expires_at"]
        if day is None:
            return None
        end = datetime.combine(day, time(23, 59, 59), UTC)
        if end < timezone.now() and "expires_at" in self.changed_data:
            raise ValidationError(_("This day is over, so the key would never work."))
        return end

    @property
    def main(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name not in LIMITS]

    @property
    def limits(self) -> list[forms.BoundField]:
        return [self[name] for name in LIMITS]


def _initial(key: ApiKey) -> dict[str, Any]:
    names = ("name", "scopes", "allowed_models", "priority", *LIMITS)
    return {name: getattr(key, name) for name in names} | {"expires_at": key.expires_at and key.expires_at.date()}


def _models(key: ApiKey | None) -> list[str]:
    """Every name that is served, by its alias too if it has one, and what the key has though it is gone."""
    found = set(ModelFolder.objects.exclude(type="").values_list("name", flat=True))
    aliases = set(ModelSettings.objects.exclude(alias="").values_list("alias", flat=True))
    return sorted(found | aliases | set(key.allowed_models if key else ()))
