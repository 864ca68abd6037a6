"""An answer as Anthropic's message: whole, or as its events."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from fmlx_site.errors import FmlxError
from inference.api.chunks import text_json
from inference.api.formats.anthropic import error_object
from inference.api.formats.parts import Json, Part, PartsWire, parts_of
from inference.client import Event

REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
DELTAS = {
    "text": ("text_delta", "text"),
    "reasoning": ("thinking_delta", "thinking"),
    "call": ("input_json_delta", "partial_json"),
}


class MessagesWire(PartsWire):
    """`max_tokens` is what was asked for. Without `show_thinking` blocks of thoughts come empty."""

    keep_alive = b'event: ping\ndata: {"type":"ping"}\n\n'

    def __init__(self, model: str, max_tokens: int, *, show_thinking: bool = True) -> None:
        super().__init__()
        self.id = f"msg_{uuid.uuid4().hex}"
        self._model, self._max_tokens, self._show_thinking = model, max_tokens, show_thinking
        self._head = b""

    def whole(self, facts: Event, choices: Sequence[Json], finished: Sequence[Event]) -> bytes:
        content = [self._block(part) for part in parts_of(choices[0])]
        return text_json({**self._message(content), **self._ended(finished[0])}).encode()

    def opening(self) -> bytes:
        usage = {"input_tokens": self.prompt_tokens, "output_tokens": 0}
        usage |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
        message = {**self._message([]), "stop_reason": None, "stop_sequence": None, "usage": usage}
        return event("message_start", message=message) + self.keep_alive

    def opened(self, part: Part) -> bytes:
        kind, field = DELTAS[part.kind]
        head = f'{{"type":"content_block_delta","index":{part.index},"delta":{{"type":"{kind}","{field}":'
        self._head = f"event: content_block_delta\ndata: {head}".encode()
        empty = {**self._block(part), "signature": ""} if part.kind == "reasoning" else self._block(part)
        return event("content_block_start", index=part.index, content_block=empty)

    def piece(self, part: Part, text: str, logprobs: Sequence[Json]) -> bytes:
        if not text or (part.kind == "reasoning" and not self._show_thinking):
            return b""
        return self._head + text_json(text).encode() + b"}}\n\n"

    def closed(self, part: Part, *, cut: bool) -> bytes:
        signed = b""
        if part.kind == "reasoning":
            delta = {"type": "signature_delta", "signature": self.id}
            signed = event("content_block_delta", index=part.index, delta=delta)
        return signed + event("content_block_stop", index=part.index)

    def closing(self, finished: Event) -> bytes:
        ended = self._ended(finished)
        usage = ended.pop("usage")
        return event("message_delta", delta=ended, usage=usage) + event("message_stop")

    def error(self, failure: FmlxError) -> bytes:
        return b"event: error\ndata: " + text_json(error_object(failure)).encode() + b"\n\n"

    def _message(self, content: Sequence[Json]) -> Json:
        return {"id": self.id, "type": "message", "role": "assistant", "model": self._model, "content": content}

    def _block(self, part: Part) -> Json:
        match part.kind:
            case "text":
                return {"type": "text", "text": part.text}
            case "reasoning":
                return {"type": "thinking", "thinking": part.text if self._show_thinking else "", "signature": self.id}
            case "call":
                return {"type": "tool_use", "id": part.id, "name": part.name, "input": _object(part.text)}

    def _ended(self, finished: Event) -> Json:
        choice = finished["choices"][0]
        stop = choice.get("stop")
        reason = REASONS[choice["reason"]]
        if choice["reason"] == "length" and int(choice.get("tokens") or 0) < self._max_tokens:
            reason = "model_context_window_exceeded"
        matched = stop if choice["reason"] == "stop" and isinstance(stop, str) else None
        return {
            "stop_reason": "stop_sequence" if matched is not None else reason,
            "stop_sequence": matched,
            "usage": _usage(finished["usage"]),
            **({"warning": self.warning} if self.warning else {}),
        }


def event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {text_json({'type': name, **fields})}\n\n".encode()


def _object(arguments: str) -> Any:
    """The engine gives valid JSON or says the call as text; an answer cut within a call is neither."""
    try:
        return json.loads(arguments) if arguments else {}
    except ValueError:
        return {}


def _usage(usage: Mapping[str, Any]) -> Json:
    cached = int(usage.get("cached_tokens") or 0)
    return {
        "input_tokens": int(usage["prompt_tokens"]) - cached,
        "output_tokens": int(usage["completion_tokens"]),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
    }
