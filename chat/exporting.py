"""A conversation as a file: for people as Markdown, for programs as JSON with every branch."""

import json
from collections.abc import Callable

from chat.conversations import branch
from chat.models import Conversation, Message


def as_markdown(conversation: Conversation) -> str:
    """The branch that is shown."""
    parts = [f"# {conversation.title}"]
    if conversation.system:
        parts.append(f"> {conversation.system}".replace("\n", "\n> "))
    for turn in branch(conversation):
        who = turn.message.model or turn.message.get_role_display()
        parts.append(f"## {who}\n\n{turn.message.text}")
    return "\n\n".join(parts) + "\n"


def as_json(conversation: Conversation) -> str:
    shown = {turn.message.pk for turn in branch(conversation)}
    rows = conversation.messages.order_by("created_at", "pk")
    kept = {
        "id": conversation.pk,
        "title": conversation.title,
        "model": conversation.model,
        "system": conversation.system,
        "parameters": conversation.parameters,
        "created_at": conversation.created_at.isoformat(),
        "messages": [_message(row) | {"shown": row.pk in shown} for row in rows],
    }
    return json.dumps(kept, ensure_ascii=False, indent=2) + "\n"


def _message(row: Message) -> dict[str, object]:
    said = {"id": row.pk, "parent": row.parent_id, "role": row.role, "content": row.text}
    said["created_at"] = row.created_at.isoformat()
    if row.role == Message.Role.USER:
        return {**said}
    asked = {"model": row.model, "system": row.system, "parameters": row.parameters}
    ended = {"state": row.state, "reason": row.reason, "figures": row.figures, "problem": row.problem}
    return {**said, "thinking": row.thinking, **asked, **ended}


FORMS: dict[str, tuple[str, Callable[[Conversation], str]]] = {
    "md": ("text/markdown", as_markdown),
    "json": ("application/json", as_json),
}
