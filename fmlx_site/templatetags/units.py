"""Bytes, durations and query strings as people read them, in the page's language."""

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

register = template.Library()

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
MINUTE, HOUR = 60, 3600


@register.filter
def size(value: float | None) -> str:
    """Bytes in binary units: 1610612736 → 1.5 GiB."""
    if value is None:
        return "—"
    power = min(len(UNITS) - 1, max(0, int(value).bit_length() - 1) // 10)
    digits = 1 if power else 0
    amount = number_format(round(value / 1024**power, digits), digits)  # which by itself would cut off, not round
    return f"{amount}\N{NO-BREAK SPACE}{UNITS[power]}"


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as one or two units: 95 → 1 min 35 s."""
    if seconds is None:
        return "—"
    if seconds < MINUTE:
        return gettext("%(seconds)s s") % {"seconds": number_format(seconds, 0 if seconds >= 10 else 1)}  # noqa: PLR2004
    minutes, rest = divmod(round(seconds), MINUTE)
    if seconds < HOUR:
        return gettext("%(minutes)d min %(seconds)d s") % {"minutes": minutes, "seconds": rest}
    return gettext("%(hours)d h %(minutes)d min") % {"hours": minutes // MINUTE, "minutes": minutes % MINUTE}


@register.filter
def frames(count: int) -> str:
    return ngettext("%(count)d frame", "%(count)d frames", count) % {"count": count}
