"""What would fit? The apps say what a thing would need; the ledger answers as it would if it were asked in earnest."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from memory.errors import NeverFits, NoRoom
from memory.ledger import Ledger
from memory.models import Node
from memory.sentences import gib


class Question(Protocol):
    """A kind of thing that can be asked about: registered by the app that would start it."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str | Promise: ...

    def form(self, data: Any = None) -> forms.Form: ...

    def wanted(self, form: forms.Form) -> Iterable[tuple[int, int]]:
        """For each node that could do it: its id, and the bytes a lease would have. Raises FmlxError if none may."""

    def hint(self, form: forms.Form, node_id: int, most: int) -> str:
        """The largest that would need at most `most` bytes, as a sentence; empty if there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`verdict` is `fits`, `waits` or `never`."""

    node: str
    verdict: str
    wanted: int
    sentence: str
    hint: str = ""


QUESTIONS: dict[str, Question] = {}


def register(question: Question) -> None:
    QUESTIONS[question.name] = question


def answers(question: Question, form: forms.Form) -> list[Answer]:
    names = dict(Node.objects.values_list("id", "name"))
    return [_answer(question, form, pk, names[pk], size) for pk, size in question.wanted(form)]


def _answer(question: Question, form: forms.Form, node_id: int, node: str, size: int) -> Answer:
    try:
        room = Ledger(node_id).would_fit(size)
    except NoRoom as refusal:
        hint = question.hint(form, node_id, max(0, refusal.ceiling - refusal.leased))
        return Answer(node, "waits", size, refusal.message, hint)
    except NeverFits as refusal:
        return Answer(node, "never", size, refusal.message, question.hint(form, node_id, refusal.ceiling))
    text = _("%(wanted)s is needed, and %(free)s of the %(ceiling)s ceiling is not promised to others.")
    figures = {"wanted": gib(size), "free": gib(room.free), "ceiling": gib(room.ceiling)}
    return Answer(node, "fits", size, text % figures)
