from django import template

from memory import words

register = template.Library()


@register.filter
def kind_word(kind: str) -> words.Word:
    return words.of_kind(kind)
