"""Form fields of ours."""

from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe


class LongSelect(forms.Select):
    """For a list that may have a thousand choices: Django's own renders a template for each, 0.3 ms a piece, where
    a page may take 50."""

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        chosen = "" if value is None else str(value)
        about = flatatt(self.build_attrs(self.attrs, {**(attrs or {}), "name": name}))
        options = "".join(_option(one, label, selected=str(one) == chosen) for one, label in self.choices)
        return mark_safe(f"<select{about}>{options}</select>")  # noqa: S308 - each part is escaped


class _Labels(forms.widgets.ChoiceWidget):
    """Labels with a box or a button in each: Django's own render two templates for each choice."""

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        chosen = {str(one) for one in (value if isinstance(value, (list, tuple)) else [value])}
        begins = (attrs or {}).get("id", name)
        labels = (
            _label(str(self.input_type), name, one, label, f"{begins}_{number}", checked=str(one) in chosen)
            for number, (one, label) in enumerate(self.choices)
        )
        return mark_safe("".join(labels))  # noqa: S308 - each part is escaped


class Boxes(_Labels, forms.CheckboxSelectMultiple):
    """Any number of them."""


class Radios(_Labels, forms.RadioSelect):
    """One of them."""


def _label(type_: str, name: str, value: Any, label: Any, id_: str, *, checked: bool) -> str:
    mark = " checked" if checked else ""
    button = f'<input type="{type_}" name="{name}" value="{conditional_escape(value)}" id="{id_}"{mark}>'
    return f'<label for="{id_}">{button} {conditional_escape(label)}</label>'


def _option(value: Any, label: Any, *, selected: bool) -> str:
    mark = " selected" if selected else ""
    return f'<option value="{conditional_escape(value)}"{mark}>{conditional_escape(label)}</option>'
