"""Filters of the administration."""

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import FieldListFilter
from django.contrib.admin.filters import AllValuesFieldListFilter
from django.db.models import CharField
from django.utils.translation import gettext as _


class WordFilter(AllValuesFieldListFilter):
    """By the words that are there. No word has a name too: as Django shows it, its link would have no text."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": _("none")} if choice["display"] == "" else choice


FieldListFilter.register(
    lambda field: isinstance(field, CharField) and not field.choices, WordFilter, take_priority=True
)
