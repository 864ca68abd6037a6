from typing import Any

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe

from memory import TEXT, parts_of, spell, words

register = template.Library()
LANG = mark_safe(' lang="en"')


@register.filter
def said(parts: list[dict[str, Any]], text: str) -> SafeString:
    """In the reader's language; what was said in plain words, and what is older than its parts, in English."""
    spelled = [(word, part["say"] == TEXT) for word, part in spell(parts or parts_of(text))]
    return format_html_join(" ", "<span{}>{}</span>", [(LANG if plain else "", word) for word, plain in spelled])


@register.filter
def kind_word(kind: str) -> words.Word:
    return words.of_kind(kind)


@register.filter
def holder_word(holder: str) -> str:
    return words.of_holder(holder)
