"""The filters of the Requests and Usage pages."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from inference.models import ApiKey, RequestLog

STATUSES = [("", _("All")), ("ok", _("answered")), ("refused", _("refused or failed")), ("499", _("client gone"))]
STEPS = [("day", _("by day")), ("hour", _("by hour"))]


def _key_choices(keys: QuerySet[ApiKey]) -> list[Any]:
    return [("", _("All")), *((str(key.pk), str(key)) for key in keys)]


class RequestFilter(forms.Form):
    key = forms.ChoiceField(label=_("Key"), required=False)
    model = forms.CharField(label=_("Model"), max_length=255, required=False)
    endpoint = forms.CharField(label=_("Endpoint"), max_length=128, required=False)
    status = forms.ChoiceField(label=_("Answer"), choices=STATUSES, required=False)
    code = forms.CharField(label=_("Error code"), max_length=64, required=False)
    request_id = forms.CharField(label=_("Request id"), max_length=64, required=False)

    LOOKUPS = {  # noqa: RUF012 - never changed
        "key": "key",
        "model": "model__icontains",
        "endpoint": "endpoint__icontains",
        "code": "code__icontains",
        "request_id": "request_id",
    }

    def __init__(self, keys: QuerySet[ApiKey], data: Any) -> None:
        super().__init__(data)
        self.fields["key"].choices = _key_choices(keys)  # type: ignore[attr-defined]

    def applied(self, rows: QuerySet[RequestLog]) -> QuerySet[RequestLog]:
        """What was understood of the filter; an unusable part says so at its field and filters nothing."""
        self.is_valid()
        given = {name: value for name, value in self.cleaned_data.items() if value}
        rows = rows.filter(**{self.LOOKUPS[name]: value for name, value in given.items() if name in self.LOOKUPS})
        match given.get("status"):
            case "ok":
                return rows.filter(status__lt=400, code="")
            case "refused":
                return rows.exclude(status__lt=400, code="").exclude(status=499)
            case "499":
                return rows.filter(status=499)
        return rows


class UsageFilter(forms.Form):
    by = forms.ChoiceField(label=_("Shown"), choices=STEPS, required=False)
    key = forms.ChoiceField(label=_("Key"), required=False)
    model = forms.CharField(label=_("Model"), max_length=255, required=False)
    since = forms.DateField(label=_("Since"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("Until"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, keys: QuerySet[ApiKey], data: Any) -> None:
        super().__init__(data)
        self.fields["key"].choices = _key_choices(keys)  # type: ignore[attr-defined]
