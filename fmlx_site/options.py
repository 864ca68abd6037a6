"""Settings that people change while the server runs: declared by each app in its `options.py`, read as `OPTION.value`.

Reading one never touches the database: `option_store` keeps what is stored at hand in every process. An environment
variable that is set comes before what is stored.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, cast

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.formats import localize
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fmlx_site.environment import Environment
from fmlx_site.units import COUNT, Unit

T = TypeVar("T")
MOST_TEXT = 255
SWITCH = (("off", gettext_lazy("no")), ("on", gettext_lazy("yes")))
Text = str | Promise
Values = Mapping[str, Any]  # every option's value in effect, by name
Check = Callable[[Values], Iterable[tuple[str, str]]]  # for each thing that does not go together: an option, and why


@dataclass(frozen=True, slots=True)
class Group:
    """Options that are shown together. `check` tells what does not go together; it may ask the database."""

    name: str
    title: Text
    purpose: Text
    order: int
    check: Check | None = None


class Option(Generic[T]):
    """One setting: a number, one of `choices`, a switch, or a text. Its name is that of its field in `environment.py`
    if it has one, whose default is then its own.

    Limits are in what is kept (bytes, seconds), `unit` is what is shown. `live`: takes effect without a restart.
    `weaker` tells what guards less than the default: values above it, below it, or what a function of all values says.
    """

    def __init__(
        self,
        name: str,
        group: Group,
        label: Text,
        help_text: Text,
        *,
        default: Any = None,
        unit: Unit = COUNT,
        least: float | None = None,
        most: float | None = None,
        choices: Iterable[tuple[str, Text]] = (),
        live: bool = True,
        whole: bool | None = None,
        weaker: Literal["above", "below", ""] | Callable[[Values], bool] = "",
    ) -> None:
        in_environment = Environment.model_fields.get(name)
        self.name, self.group, self.label, self.help_text = name, group, label, help_text
        self.default = cast("T", in_environment.default if in_environment else default)
        self.unit, self.least, self.most, self.choices, self.live = unit, least, most, tuple(choices), live
        self.switch = isinstance(self.default, bool)
        if self.switch:
            self.choices = SWITCH
        self.text = isinstance(self.default, str) and not self.choices
        self.whole = not isinstance(self.default, float) if whole is None else whole
        self._weaker = weaker
        OPTIONS[name] = self

    @property
    def value(self) -> T:
        """What is in effect in this process."""
        if self.fixed:
            return cast("T", getattr(settings.FMLX, self.name))
        kept = STORED.now if self.live else STORED.at_start
        return cast("T", kept.get(self.name, self.default))

    @property
    def stored(self) -> T:
        """What was chosen, which an environment variable may outdo, and which may wait for a restart."""
        return cast("T", STORED.now.get(self.name, self.default))

    @property
    def variable(self) -> str:
        return f"FMLX_{self.name.upper()}" if self.name in Environment.model_fields else ""

    @property
    def fixed(self) -> bool:
        """Set by its environment variable."""
        return self.name in Environment.model_fields and self.name in settings.FMLX.model_fields_set

    @property
    def optional(self) -> bool:
        return self.default is None

    def weaker_than_default(self, values: Values) -> bool:
        if callable(self._weaker):
            return self._weaker(values)
        value, default = values[self.name], self.default
        return bool(value > default if self._weaker == "above" else self._weaker == "below" and value < default)

    def in_words(self, value: Any) -> str:
        """For people: `8 GiB`, or the name of the choice."""
        if value is None or (self.text and not value):
            return _("none")
        if self.choices:
            shown = self.to_shown(value)
            return str(dict(self.choices).get(shown, shown))
        if self.text:
            return str(value)
        return f"{localize(self.to_shown(value))}\N{NO-BREAK SPACE}{self.unit.label}".rstrip()

    def form_field(self) -> forms.Field:
        """A field in what is shown."""
        given: dict[str, Any] = {"label": self.label, "help_text": self.help_text, "required": not self.optional}
        if self.choices:
            return forms.ChoiceField(choices=self.choices, **given)
        if self.text:
            return forms.CharField(**{**given, "required": False}, max_length=MOST_TEXT)
        limits = {"min_value": self.to_shown(self.least), "max_value": self.to_shown(self.most)}
        if self.unit.fine or not self.whole:
            return forms.FloatField(widget=forms.NumberInput(attrs={"step": "any"}), **given, **limits)
        return forms.IntegerField(**given, **limits)

    def to_shown(self, value: Any) -> Any:
        if self.switch:
            return "on" if value else "off"
        if value is None or self.choices or self.text:
            return value
        shown = float(f"{value / self.unit.scale:.12g}")
        return int(shown) if shown.is_integer() else shown

    def of_shown(self, value: Any) -> Any:
        if self.switch:
            return value == "on"
        if value is None or self.choices or self.text:
            return value
        kept = value * self.unit.scale
        return round(kept) if self.whole else float(kept)

    def understand(self, value: Any) -> T:
        """A value as it is kept, from a file or the database. Raises ValidationError."""
        if self.switch:
            return self._understand_switch(value)
        fitting = (str,) if self.choices or self.text else (int, float)
        if value is None and self.optional:
            return cast("T", None)
        if isinstance(value, bool) or not isinstance(value, fitting):
            raise ValidationError(_("%(value)r is not a value that it can have.") % {"value": value})
        if self.whole and isinstance(value, float) and not value.is_integer():
            raise ValidationError(_("A whole number is needed, not %(value)s.") % {"value": value})
        self.form_field().clean(self.to_shown(value))
        return cast("T", value if isinstance(value, str) else int(value) if self.whole else float(value))

    def _understand_switch(self, value: Any) -> T:
        if not isinstance(value, bool):
            raise ValidationError(_("%(value)r is not a value that it can have.") % {"value": value})
        return cast("T", value)


OPTIONS: dict[str, Option[Any]] = {}


@dataclass(slots=True)
class Stored:
    """What was chosen in place of the defaults, as this process knows it now and as it was at its start."""

    now: Values = field(default_factory=dict)
    at_start: Values = field(default_factory=dict)
    loaded: bool = False


STORED = Stored()


def groups() -> list[Group]:
    return sorted({option.group.name: option.group for option in OPTIONS.values()}.values(), key=lambda one: one.order)


def of_group(group: Group) -> list[Option[Any]]:
    return [option for option in OPTIONS.values() if option.group.name == group.name]


def in_effect(chosen: Values | None = None) -> dict[str, Any]:
    """Every option's value; of those in `chosen`, what it would be if that were stored."""
    chosen = chosen or {}
    return {
        name: chosen[name] if name in chosen and not option.fixed else option.value for name, option in OPTIONS.items()
    }
