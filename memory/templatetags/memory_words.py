from django import template

from memory import words

register = template.Library()


@register.filter
def kind_word(kind: str) -> words.Word:
    return words.of_kind(kind)


@register.filter
def holder_word(holder: str) -> str:
    return words.of_holder(holder)
