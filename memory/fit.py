"""What would fit? The apps say what a thing would need; the ledger answers as it would if it were asked in earnest."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from memory.errors import NeverFits, NoRoom
from memory.ledger import Ledger
from memory.models import Lease, Node
from memory.sentences import gib
from memory.words import of_kind


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lease of so many bytes; with a holder, in the place of the one that this holder has already, if any."""

    node_id: int
    bytes: int
    kind: str = ""
    holder: str = ""


class Question(Protocol):
    """A kind of thing that can be asked about: registered by the app that would start it."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str | Promise: ...

    def form(self, data: Any = None) -> forms.Form: ...

    def wanted(self, form: forms.Form) -> Iterable[Wanted]:
        """For each node that could do it, the lease it would need there. Raises FmlxError if none may."""

    def hint(self, form: forms.Form, node_id: int, most: int) -> str:
        """The largest that would need at most `most` bytes, as a sentence; empty if there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`verdict` is `fits`, `waits` or `never`. `after` are the leases that would have to end first, as people read
    them; `elsewhere` the bytes that others on the machine would have to give back as well.
    """

    node: str
    verdict: str
    wanted: int
    sentence: str
    after: tuple[str, ...] = ()
    elsewhere: int = 0
    hint: str = ""


QUESTIONS: dict[str, Question] = {}


def register(question: Question) -> None:
    QUESTIONS[question.name] = question


def answers(question: Question, form: forms.Form) -> list[Answer]:
    nodes = Node.objects.in_bulk()
    return [_answer(question, form, nodes[wanted.node_id], wanted) for wanted in question.wanted(form)]


def _answer(question: Question, form: forms.Form, node: Node, wanted: Wanted) -> Answer:
    leases = list(Lease.objects.filter(node=node))
    own = sum(lease.bytes for lease in leases if wanted.holder and _is_of(lease, wanted))
    try:
        room = Ledger(node.pk).would_fit(wanted.bytes, before=own)
    except NoRoom as refusal:
        after, elsewhere = _until(refusal.missing, [lease for lease in leases if not _is_of(lease, wanted)])
        hint = question.hint(form, node.pk, max(0, refusal.ceiling - refusal.leased))
        return Answer(node.name, "waits", wanted.bytes, refusal.message, after, elsewhere, hint)
    except NeverFits as refusal:
        hint = question.hint(form, node.pk, refusal.ceiling)
        return Answer(node.name, "never", wanted.bytes, refusal.message, hint=hint)
    text = _("%(wanted)s is needed, and %(free)s of the %(ceiling)s ceiling is not promised to others.")
    figures = {"wanted": gib(wanted.bytes), "free": gib(room.free + own), "ceiling": gib(room.ceiling)}
    return Answer(node.name, "fits", wanted.bytes, text % figures)


def _is_of(lease: Lease, wanted: Wanted) -> bool:
    return (lease.kind, lease.holder) == (wanted.kind, wanted.holder)


def _until(missing: int, leases: list[Lease]) -> tuple[tuple[str, ...], int]:
    """The fewest leases that come to `missing` bytes: one that is just enough, or else the largest first."""
    enough = sorted((lease for lease in leases if lease.bytes >= missing), key=lambda one: one.bytes)[:1]
    going: list[Lease] = []
    for lease in enough or sorted(leases, key=lambda one: -one.bytes):
        if missing <= 0:
            break
        going.append(lease)
        missing -= lease.bytes
    return tuple(f"{lease.holder} ({of_kind(lease.kind)}, {gib(lease.bytes)})" for lease in going), max(0, missing)
