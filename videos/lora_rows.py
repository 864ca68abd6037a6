"""LoRAs in a form: a row for each that this server has, with how strongly it is to be applied."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

STRENGTHS = {"strength": gettext_lazy("strength"), "strength_low": gettext_lazy("of the second expert")}
LEAST, MOST = -4, 4  # of `videos.schemas.Strength`


class LoraRows(forms.Widget):
    """Its value are the rows that are ticked, as the API's field `loras` has them, with numbers as they were typed."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def id_for_label(self, id_: str) -> str:
        return f"{id_}_0"

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[dict[str, Any]]:
        return [self._row(data, name, lora) for lora in self.names if data.get(f"{name}:{lora}")]

    def _row(self, data: Mapping[str, Any], name: str, lora: str) -> dict[str, Any]:
        typed = {part: data.get(f"{name}:{lora}:{part}", "") for part in STRENGTHS}
        return {"name": lora, **{part: value for part, value in typed.items() if value != ""}}

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        chosen = {row["name"]: row for row in value or []}
        start = (attrs or {}).get("id", name)
        rows = [self._shown(name, f"{start}_{place}", lora, chosen.get(lora)) for place, lora in enumerate(self.names)]
        return format_html_join("", "{}", ((row,) for row in rows))

    def _shown(self, name: str, id_: str, lora: str, row: Mapping[str, Any] | None) -> SafeString:
        ticked = forms.CheckboxInput().render(f"{name}:{lora}", row is not None, {"id": id_})
        numbers = [(word, f"{name}:{lora}:{part}", (row or {}).get(part, "")) for part, word in STRENGTHS.items()]
        fields = format_html_join(
            "",
            '<label class="muted">{} <input type="number" name="{}" value="{}" min="{}" max="{}" step="any"></label>',
            ((*number, LEAST, MOST) for number in numbers),
        )
        return format_html('<p class="lora"><label>{} {}</label>{}</p>', ticked, lora, fields)


class LoraField(forms.Field):
    """Cleaned, it is a list as the API takes it; None where no row is ticked, which leaves it to the preset."""

    widget = LoraRows

    def offer(self, names: Iterable[str]) -> None:
        rows: Any = self.widget
        rows.names = list(names)

    def clean(self, value: Any) -> Any:
        return [_cleaned(row) for row in value] or None


def _cleaned(row: Mapping[str, Any]) -> dict[str, Any]:
    return {part: _number(typed) if part in STRENGTHS else typed for part, typed in row.items()}


def _number(typed: Any) -> float:
    try:
        return float(typed)
    except ValueError:
        text = _("A strength is a number from %(least)d to %(most)d.") % {"least": LEAST, "most": MOST}
        raise forms.ValidationError(text) from None


def again(kept: Iterable[Mapping[str, Any]], *, two_experts: bool) -> list[dict[str, Any]]:
    """The rows as they were for a job that keeps these."""
    names = ("high", "low") if two_experts else ("high",)
    return [
        {"name": one["name"], **{part: one[own] for part, own in zip(STRENGTHS, names, strict=False)}} for one in kept
    ]
