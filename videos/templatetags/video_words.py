from typing import Any

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from memory import TEXT, parts_of, spell
from videos import words

register = template.Library()
LANG = mark_safe(' lang="en"')


@register.filter
def code_word(code: str) -> words.Word:
    """A fact of a job's history, or the code of its error."""
    return words.of(code)


@register.filter
def status_word(status: str) -> words.Word:
    return words.STATUS[status]


@register.filter
def phase_word(phase: str) -> words.Word:
    return words.PHASES.get(phase, phase)


@register.filter
def said(parts: list[dict[str, Any]], text: str) -> SafeString:
    """In the reader's language; what was said in plain words, and what is older than its parts, in English."""
    spelled = [(word, part["say"] == TEXT) for word, part in spell(parts or parts_of(text))]
    return format_html_join(" ", "<span{}>{}</span>", [(LANG if plain else "", word) for word, plain in spelled])


@register.filter
def task_word(name: str) -> words.Word:
    return words.TASKS.get(name, name)


@register.filter
def step_word(name: str) -> words.Word:
    return words.STEPS.get(name, name)
