"""The forms of the Settings and Audit pages."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from fmlx_site import option_store
from fmlx_site.audit import Origin
from fmlx_site.models import Change
from fmlx_site.options import Group, Option, in_effect, of_group

MOST_FILE_BYTES = 1024**2


@dataclass(frozen=True, slots=True)
class Row:
    """An option as the page shows it."""

    option: Option[Any]
    field: forms.BoundField
    weaker: bool

    @property
    def changed(self) -> bool:
        return bool(self.option.stored != self.option.default)

    @property
    def waits(self) -> bool:
        """What was chosen is not what holds yet."""
        return not self.option.live and bool(self.option.stored != self.option.value) and not self.option.fixed

    @property
    def default(self) -> str:
        return self.option.in_words(self.option.default)


class GroupForm(forms.Form):
    """The options of a group, in the units they are shown in."""

    error_css_class = "invalid"

    def __init__(self, group: Group, data: Any = None, *, readonly: bool = False) -> None:
        super().__init__(data)
        self.options = of_group(group)
        for option in self.options:
            field = option.form_field()
            field.initial = option.to_shown(option.value if option.fixed else option.stored)
            field.disabled = readonly or option.fixed
            self.fields[option.name] = field

    def rows(self) -> Iterator[Row]:
        values = in_effect({option.name: option.stored for option in self.options})
        for option in self.options:
            yield Row(option, self[option.name], option.weaker_than_default(values))

    def save(self, origin: Origin) -> list[Change] | None:
        """What was changed; None, with the reasons on the form, if nothing may be."""
        wanted = {
            option.name: option.of_shown(self.cleaned_data[option.name])
            for option in self.options
            if option.name in self.changed_data
        }
        try:
            return option_store.change(wanted, origin)
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                self.add_error(name if name in self.fields else None, messages)
            return None


class ImportForm(forms.Form):
    file = forms.FileField(
        label=_("A file with exported settings"), widget=forms.ClearableFileInput(attrs={"accept": ".json"})
    )

    def clean_file(self) -> str:
        file = self.cleaned_data["file"]
        if file.size > MOST_FILE_BYTES:
            raise ValidationError(_("The file is too large to be one with settings."))
        try:
            text: str = file.read().decode()
        except UnicodeDecodeError as error:
            raise ValidationError(_("The file is not text.")) from error
        return text


class AuditFilter(forms.Form):
    what = forms.ChoiceField(label=_("What"), choices=[("", _("Everything")), *Change.What.choices], required=False)
    name = forms.CharField(label=_("Name"), max_length=255, required=False)
    who = forms.CharField(label=_("Who"), max_length=150, required=False)
    since = forms.DateField(label=_("Since"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("Until"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    LOOKUPS = {  # noqa: RUF012 - never changed
        "what": "what",
        "name": "name__icontains",
        "who": "who__icontains",
        "since": "at__date__gte",
        "until": "at__date__lte",
    }

    def applied(self, changes: QuerySet[Change]) -> QuerySet[Change]:
        """What was understood of the filter; an unusable part says so at its field and filters nothing."""
        self.is_valid()
        given = {self.LOOKUPS[name]: value for name, value in self.cleaned_data.items() if value}
        return changes.filter(**given)
