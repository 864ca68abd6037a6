"""What happened to an answer, in words."""

from typing import Any

from django import template
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from chat import words
from fmlx_site.templatetags.units import duration

register = template.Library()


@register.filter
def problem_words(problem: dict[str, Any]) -> str:
    return str(words.problem_of(problem))


@register.filter
def figure_words(figures: dict[str, Any]) -> str:
    """Speed, patience and size of an answer: 42.1 tokens/s · first token after 0.1 s · 57 tokens · 12 of 80 cached."""
    parts = []
    if speed := figures.get("tokens_per_second"):
        parts.append(gettext("%(speed)s tokens/s") % {"speed": number_format(round(speed, 1), 1)})
    if (first := figures.get("first_token_seconds")) is not None:
        parts.append(gettext("first token after %(time)s") % {"time": _exact(first)})
    count = figures["completion_tokens"]
    parts.append(ngettext("%(count)d token", "%(count)d tokens", count) % {"count": count})
    read, cached = figures.get("prompt_tokens", 0), figures.get("cached_tokens", 0)
    parts.append(gettext("%(cached)d of %(read)d prompt tokens from the cache") % {"cached": cached, "read": read})
    return " · ".join(parts)


def _exact(seconds: float) -> str:
    if seconds >= 1:
        return duration(seconds)
    return gettext("%(count)d ms") % {"count": round(seconds * 1000)}
