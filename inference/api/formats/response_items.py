"""A response's items: as they are kept and listed, and as chat's messages."""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core import signing

from fmlx_site.errors import InvalidRequest
from inference.api.formats.translation import Json
from inference.api.schemas.response_items import FunctionCall, FunctionCallOutput, Item, Message, Thought, Unread
from inference.errors import NoEyes

PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}
SALT = "fmlx.responses.reasoning"


def new_id(kind: str) -> str:
    return f"{PREFIXES[kind]}_{uuid.uuid4().hex}"


def kept(item: Item) -> Json:
    """An item of a request as OpenAI's document has it in lists."""
    found: Json = item.model_dump(mode="json", exclude_none=True)
    found["id"] = item.id or new_id(item.type)
    found["status"] = item.status or "completed"
    if isinstance(item, Message):
        found["content"] = [_kept_part(part, item.role) for part in found["content"]]
        found.pop("phase", None)
    if isinstance(item, Thought):
        found |= {"summary": [part.model_dump() for part in item.summary]}
    return found


def _kept_part(part: Json, role: str) -> Json:
    if role == "assistant" and part["type"] in ("input_text", "output_text"):
        return {"type": "output_text", "text": part["text"], "annotations": [], "logprobs": []}
    return part


def sealed(thought: str) -> str:
    """A thought for a client that keeps what this server does not: signed, so that it comes back as it was given."""
    return signing.dumps(thought, salt=SALT, compress=True)


def _unsealed(text: str, place: str) -> str:
    try:
        return str(signing.loads(text, salt=SALT))
    except signing.BadSignature:
        where = f"{place}.encrypted_content"
        raise InvalidRequest(f"{where}: this is not what this server gave.", param=where) from None


def chat_messages(items: Iterable[tuple[str, Item]]) -> Iterator[tuple[str, Json]]:
    """Each item with its place in the request. What was thought, said and called in one turn is one message."""
    turn: Json = {}
    began = ""
    for place, item in items:
        if isinstance(item, FunctionCallOutput) or (isinstance(item, Message) and item.role != "assistant"):
            if turn:
                yield began, turn
                turn = {}
            yield place, _told(item, place)
            continue
        if turn and _is_new_turn(turn, item):
            yield began, turn
            turn = {}
        began = began if turn else place
        turn = turn or {"role": "assistant", "content": []}
        _add(turn, item, place)
    if turn:
        yield began, turn


def _is_new_turn(turn: Json, item: Any) -> bool:
    """A thought or a text after calls began another answer."""
    return "tool_calls" in turn and not isinstance(item, FunctionCall)


def _told(item: Message | FunctionCallOutput, place: str) -> Json:
    if isinstance(item, Message):
        return {"role": item.role, "content": _texts(item.content, f"{place}.content")}
    output = item.output if isinstance(item.output, str) else _texts(item.output, f"{place}.output")
    return {"role": "tool", "tool_call_id": item.call_id, "content": output}


def _texts(parts: Sequence[Any], place: str) -> list[Json]:
    """As chat's text parts. Raises NoEyes."""
    texts = []
    for number, part in enumerate(parts):
        if isinstance(part, Unread):
            raise NoEyes(f"{place}.{number}", part.type)
        texts.append({"type": "text", "text": part.refusal if part.type == "refusal" else part.text})
    return texts


def _add(turn: Json, item: Any, place: str) -> None:
    if isinstance(item, Message):
        turn["content"] = [*turn["content"], *_texts(item.content, f"{place}.content")]
    elif isinstance(item, FunctionCall):
        function = {"name": item.name, "arguments": item.arguments}
        call = {"id": item.call_id, "type": "function", "function": function}
        turn["tool_calls"] = [*turn.get("tool_calls", ()), call]
    elif thought := _thought(item, place):
        turn["reasoning_content"] = turn.get("reasoning_content", "") + thought


def _thought(item: Thought, place: str) -> str:
    if item.content:
        return "".join(part.text for part in item.content)
    if item.encrypted_content:
        return _unsealed(item.encrypted_content, place)
    return "".join(part.text for part in item.summary)


def page_of(items: Sequence[Json], order: str, after: str | None, limit: int) -> tuple[list[Json], bool]:
    """Raises InvalidRequest for an `after` that is none of them."""
    ordered = list(items) if order == "asc" else list(reversed(items))
    if after is not None:
        ids = [item["id"] for item in ordered]
        if after not in ids:
            raise InvalidRequest(f"after: {after!r} is no item of this response.", param="after")
        ordered = ordered[ids.index(after) + 1 :]
    return ordered[:limit], len(ordered) > limit
