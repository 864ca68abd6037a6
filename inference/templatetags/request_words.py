"""Figures and names of the Keys, Requests and Usage pages."""

from typing import Any

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from inference.keys.meter import Limit
from inference.models import ApiKey

register = template.Library()
FINE = 10.0


@register.filter
def seconds(value: float | None) -> str:
    """Milliseconds under a second."""
    if value is None:
        return "—"
    if value < 1:
        return _("%(count)s ms") % {"count": number_format(value * 1000, 0 if value * 1000 >= FINE else 1)}
    return _("%(count)s s") % {"count": number_format(value, 1 if value >= FINE else 2)}


@register.filter
def limit_name(limit: Limit) -> str:
    return field_name(f"{limit.what}_per_{limit.period}")


@register.filter
def field_name(name: str) -> str:
    """Of a part of a key, as its form has it."""
    if name == "revoked":
        return _("Revoked")
    if name == "webhook":
        return _("Webhook")
    return str(getattr(ApiKey, name).field.verbose_name)


@register.filter
def shown(value: Any) -> str:
    if value in (None, [], ""):
        return "—"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
