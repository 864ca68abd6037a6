"""Conversations and their branches: every change of them is here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from chat.models import Conversation, Message
from fmlx_site.errors import Conflict

TITLE_LENGTH = 60
UNDO = timedelta(hours=1)
LOST = timedelta(seconds=10)  # an answer is saved twice a second for as long as its process lives
User = AbstractBaseUser | AnonymousUser  # views hold back who is not logged in
State, Role = Message.State, Message.Role


class StillAnswering(Conflict):
    code = "still_answering"


@dataclass(frozen=True, slots=True)
class Ask:
    """What an answer is made with."""

    model: str
    system: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """A message of the branch that is shown, and the others that stand in its place in other branches."""

    message: Message
    number: int
    count: int
    before: str
    after: str


def of(owner: User, search: str = "") -> QuerySet[Conversation]:
    """Those that `owner` has not deleted, the last used first."""
    rows = Conversation.objects.filter(owner_id=owner.pk, deleted_at=None).order_by("-used_at")
    if search:
        said = Message.objects.filter(text__icontains=search).values("conversation")
        rows = rows.filter(Q(title__icontains=search) | Q(pk__in=said))
    return rows


def branch(conversation: Conversation) -> list[Turn]:
    """From the first message to the leaf."""
    messages = {one.pk: one for one in conversation.messages.order_by("created_at", "pk")}
    places: dict[str | None, list[str]] = {}
    for one in messages.values():
        places.setdefault(one.parent_id, []).append(one.pk)
    turns = []
    here = messages.get(conversation.leaf_id or "")
    while here:
        there = places[here.parent_id]
        at = there.index(here.pk)
        before, after = there[at - 1] if at else "", there[at + 1] if at + 1 < len(there) else ""
        turns.append(Turn(here, at + 1, len(there), before, after))
        here = messages.get(here.parent_id or "")
    return turns[::-1]


@transaction.atomic
def start(owner: User, text: str, ask: Ask) -> Message:
    """A new conversation; returns the answer that is to be made."""
    lines = text.strip().splitlines()
    asked = {"model": ask.model, "system": ask.system, "parameters": dict(ask.parameters)}
    conversation = Conversation.objects.create(owner_id=owner.pk or 0, title=_shortened(lines[0]), **asked)
    return _answered(conversation, _said(conversation, None, text), ask)


@transaction.atomic
def say(conversation: Conversation, text: str, ask: Ask) -> Message:
    """Raises StillAnswering."""
    conversation = _free(conversation)
    return _answered(conversation, _said(conversation, conversation.leaf, text), ask)


@transaction.atomic
def edit(message: Message, text: str, ask: Ask) -> Message:
    """What a user said, said otherwise: another branch begins in its place. Raises StillAnswering."""
    conversation = _free(message.conversation)
    return _answered(conversation, _said(conversation, message.parent, text), ask)


@transaction.atomic
def regenerate(message: Message, ask: Ask) -> Message:
    """Another answer in the place of this one, which stays. Raises StillAnswering."""
    conversation = _free(message.conversation)
    if message.parent is None:
        raise ValueError(f"{message.pk} answers nothing.")
    return _answered(conversation, message.parent, ask)


def show(message: Message) -> None:
    """See the branch that goes through this message, to the end that was written last."""
    children: dict[str | None, str] = {}
    for one in message.conversation.messages.order_by("created_at", "pk"):
        children[one.parent_id] = one.pk
    leaf = message.pk
    while leaf in children:
        leaf = children[leaf]
    Conversation.objects.filter(pk=message.conversation_id).update(leaf=leaf)


def delete(conversation: Conversation) -> None:
    """It can be brought back for an hour; those whose hour is over go for good."""
    now = timezone.now()
    conversation.messages.filter(state=State.ANSWERING).update(stop_wanted=True)
    Conversation.objects.filter(pk=conversation.pk).update(deleted_at=now)
    Conversation.objects.filter(deleted_at__lt=now - UNDO).delete()


def bring_back(conversation_id: str, owner: User) -> bool:
    gone = Conversation.objects.filter(pk=conversation_id, owner_id=owner.pk, deleted_at__gte=timezone.now() - UNDO)
    return gone.update(deleted_at=None) == 1


def settle_lost(conversation: Conversation) -> int:
    """Answers whose process is gone end as they were kept. Returns how many."""
    silent = conversation.messages.filter(state=State.ANSWERING, saved_at__lt=timezone.now() - LOST)
    stopped = silent.filter(stop_wanted=True).update(state=State.STOPPED)
    problem = {"status": 503, "code": "interrupted", "message": "The server ended while it answered."}
    return stopped + silent.filter(stop_wanted=False).update(state=State.FAILED, problem=problem)


def _free(conversation: Conversation) -> Conversation:
    settle_lost(conversation)
    locked = Conversation.objects.select_for_update().get(pk=conversation.pk)
    if locked.leaf and locked.leaf.answering:
        raise StillAnswering("The answer before this one is still being made; wait for its end, or stop it.")
    return locked


def _said(conversation: Conversation, parent: Message | None, text: str) -> Message:
    return Message.objects.create(conversation=conversation, parent=parent, role=Role.USER, text=text.strip())


def _answered(conversation: Conversation, question: Message, ask: Ask) -> Message:
    asked = {"model": ask.model, "system": ask.system, "parameters": dict(ask.parameters)}
    answer = Message.objects.create(
        conversation=conversation, parent=question, role=Role.ASSISTANT, state=State.ANSWERING, **asked
    )
    changed = {**asked, "leaf": answer, "used_at": timezone.now()}
    Conversation.objects.filter(pk=conversation.pk).update(**changed)
    return answer


def _shortened(line: str) -> str:
    return line if len(line) <= TITLE_LENGTH else f"{line[: TITLE_LENGTH - 1].rstrip()}…"
