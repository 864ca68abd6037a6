"""From an engine's events to OpenAI's objects, whole or in chunks. A chunk is built from bytes made once per stream."""

import json
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from fmlx_site.errors import FmlxError
from inference.api import sse
from inference.client import Event

text_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
Json = dict[str, Any]


def usage_of(events: Sequence[Event]) -> Json:
    """The sum over the requests that one call became."""
    prompt, completion, cached, reasoning = (
        sum(int(event["usage"].get(name) or 0) for event in events)
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
    )
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


class ChoicesWire(ABC):
    """One call's way of speaking. `first` below is the index of a prompt's first choice."""

    keep_alive = sse.KEEP_ALIVE
    prefix: str
    whole_object: str
    chunk_object: str

    def __init__(self, model: str, *, include_usage: bool, continuous_usage: bool = False) -> None:
        self.id = f"{self.prefix}-{uuid.uuid4().hex}"
        self._model, self._created = model, int(time.time())
        self._include_usage, self._continuous_usage = include_usage, continuous_usage
        self._used = [0, 0]  # tokens of the prompts, and of what was said until now
        self._tail = b',"usage":null}\n\n' if include_usage else b"}\n\n"
        self._head = b""
        self._opened: set[int] = set()

    def whole(self, facts: Event, choices: Sequence[Json], finished: Sequence[Event]) -> bytes:
        """The answer to a call that is not a stream."""
        return text_json(
            {**self._common(self.whole_object, facts), "choices": choices, "usage": usage_of(finished)}
        ).encode()

    @abstractmethod
    def choice(self, number: int, choice: Event, first: int) -> Json:
        """One finished choice; `number` is of its prompt."""

    @abstractmethod
    def opening(self, number: int, index: int) -> bytes:
        """What comes before a choice's first text."""

    @abstractmethod
    def text(self, index: int, text: str, logprobs: Sequence[Json] | None) -> bytes: ...

    @abstractmethod
    def close(self, index: int, reason: str, warning: str | None) -> bytes: ...

    def thought(self, index: int, delta: Event) -> bytes:
        """The part of a delta that comes before its text."""
        return b""

    def calls(self, index: int, delta: Event) -> bytes:
        """The part of a delta that comes after its text."""
        return b""

    def begin(self, facts: Event, prompt_tokens: int) -> None:
        common = text_json({**self._common(self.chunk_object, facts), "choices": 0})
        self._head = f"data: {common.removesuffix('0}')}[".encode()
        self._used = [prompt_tokens, 0]

    def chunks(self, number: int, first: int, events: Sequence[Event]) -> bytes:
        """The deltas among the events, as chunks, one after the other."""
        return b"".join(self._delta(number, first, event) for event in events if "phase" not in event)

    def end(self, finished: Sequence[Event]) -> bytes:
        if not self._include_usage:
            return sse.DONE
        return self._head + f'],"usage":{text_json(usage_of(finished))}}}\n\n'.encode() + sse.DONE

    def error(self, failure: FmlxError) -> bytes:
        return sse.error(failure)

    def _delta(self, number: int, first: int, delta: Event) -> bytes:
        if self._continuous_usage:
            self._count(delta)
        index, reason = first + delta["index"], delta.get("reason")
        text, logprobs = delta.get("text", ""), delta.get("logprobs")
        said = self.thought(index, delta)
        said += self.text(index, text, logprobs) if text or logprobs else b""
        said += self.calls(index, delta)
        if (said or reason) and index not in self._opened:
            self._opened.add(index)
            said = self.opening(number, index) + said
        return said + self.close(index, reason, delta.get("warning")) if reason else said

    def _count(self, delta: Event) -> None:
        self._used[1] += int(delta.get("tokens") or 0)
        prompt, completion = self._used
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        self._tail = f',"usage":{text_json(usage)}}}\n\n'.encode()

    def _chunk(self, choice: str) -> bytes:
        return self._head + choice.encode() + b"]" + self._tail

    def _common(self, object_: str, facts: Event) -> Json:
        return {
            "id": self.id,
            "object": object_,
            "created": self._created,
            "model": self._model,
            "system_fingerprint": f"fp_{str(facts.get('fingerprint') or 'none')[:16]}",
        }


class ChatWire(ChoicesWire):
    prefix, whole_object, chunk_object = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def choice(self, number: int, choice: Event, first: int) -> Json:
        return {
            "index": first + choice["index"],
            "message": message_of(choice),
            "logprobs": _chat_logprobs(choice.get("logprobs")),
            "finish_reason": choice["reason"],
            **({"warning": choice["warning"]} if choice.get("warning") else {}),
        }

    def opening(self, number: int, index: int) -> bytes:
        role = '{"role":"assistant","content":"","refusal":null}'
        return self._chunk(f'{{"index":{index},"delta":{role},"logprobs":null,"finish_reason":null}}')

    def text(self, index: int, text: str, logprobs: Sequence[Json] | None) -> bytes:
        shown = text_json(_chat_logprobs(logprobs)) if logprobs else "null"
        return self._change(index, f'{{"content":{text_json(text)}}}', shown)

    def thought(self, index: int, delta: Event) -> bytes:
        if not (reasoning := delta.get("reasoning")):
            return b""
        return self._change(index, f'{{"reasoning_content":{text_json(reasoning)}}}')

    def calls(self, index: int, delta: Event) -> bytes:
        if not (pieces := delta.get("tool_calls")):
            return b""
        return self._change(index, text_json({"tool_calls": [_call_piece(piece) for piece in pieces]}))

    def close(self, index: int, reason: str, warning: str | None) -> bytes:
        more = f',"warning":{text_json(warning)}' if warning else ""
        return self._chunk(f'{{"index":{index},"delta":{{}},"logprobs":null,"finish_reason":"{reason}"{more}}}')

    def _change(self, index: int, delta: str, logprobs: str = "null") -> bytes:
        return self._chunk(f'{{"index":{index},"delta":{delta},"logprobs":{logprobs},"finish_reason":null}}')


def message_of(choice: Event) -> Json:
    """What the assistant said, in OpenAI's form, with the thought under the name that other servers give it."""
    text, calls = choice["text"], choice.get("tool_calls")
    message: Json = {"role": "assistant", "content": (text or None) if calls else text, "refusal": None}
    if reasoning := choice.get("reasoning"):
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [_call(call) for call in calls]
    return message


def _call(call: Mapping[str, Any]) -> Json:
    function = {"name": call["name"], "arguments": call["arguments"]}
    return {"id": call["id"], "type": "function", "function": function}


def _call_piece(piece: Mapping[str, Any]) -> Json:
    if "id" not in piece:
        return {"index": piece["index"], "function": {"arguments": piece["arguments"]}}
    return {"index": piece["index"], **_call(piece)}


class CompletionWire(ChoicesWire):
    """`echoed` are the prompts that come back before what they are completed with, or none."""

    prefix, whole_object, chunk_object = "cmpl", "text_completion", "text_completion"

    def __init__(
        self, model: str, echoed: Sequence[str], *, include_usage: bool, continuous_usage: bool = False
    ) -> None:
        super().__init__(model, include_usage=include_usage, continuous_usage=continuous_usage)
        self._echoed = echoed
        self._offsets: dict[int, int] = {}

    def choice(self, number: int, choice: Event, first: int) -> Json:
        index = first + choice["index"]
        return {
            "index": index,
            "text": self._echo(number) + choice["text"],
            "logprobs": self._logprobs(index, choice.get("logprobs")),
            "finish_reason": choice["reason"],
        }

    def opening(self, number: int, index: int) -> bytes:
        echo = self._echo(number)
        return self.text(index, echo, None) if echo else b""

    def text(self, index: int, text: str, logprobs: Sequence[Json] | None) -> bytes:
        return self._choice(index, text, text_json(self._logprobs(index, logprobs)), "null")

    def close(self, index: int, reason: str, warning: str | None) -> bytes:
        return self._choice(index, "", "null", f'"{reason}"')

    def _choice(self, index: int, text: str, logprobs: str, reason: str) -> bytes:
        shown = f'{{"index":{index},"text":{text_json(text)},"logprobs":{logprobs},"finish_reason":{reason}}}'
        return self._chunk(shown)

    def _echo(self, number: int) -> str:
        return self._echoed[number] if self._echoed else ""

    def _logprobs(self, index: int, tokens: Sequence[Json] | None) -> Json | None:
        if not tokens:
            return None
        offsets = []
        for token in tokens:
            offsets.append(self._offsets.get(index, 0))
            self._offsets[index] = offsets[-1] + len(token["token"])
        return {
            "tokens": [token["token"] for token in tokens],
            "token_logprobs": [token["logprob"] for token in tokens],
            "top_logprobs": [_by_token(token) for token in tokens],
            "text_offset": offsets,
        }


def _by_token(token: Mapping[str, Any]) -> dict[str, float]:
    return {one["token"]: one["logprob"] for one in [token, *token.get("top", ())]}


def _chat_logprobs(tokens: Sequence[Json] | None) -> Json | None:
    if tokens is None:
        return None
    return {"content": [_chat_logprob(token) for token in tokens], "refusal": None}


def _chat_logprob(token: Mapping[str, Any]) -> Json:
    names = ("token", "logprob", "bytes")
    top = [{name: other[name] for name in names} for other in token.get("top", ())]
    return {**{name: token[name] for name in names}, "top_logprobs": top}
