"""An answer as OpenAI's response: whole, or as its numbered events."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from fmlx_site.errors import FmlxError
from inference.api import sse
from inference.api.chunks import text_json
from inference.api.formats.from_responses import LOGPROBS
from inference.api.formats.parts import Json, Part, PartsWire
from inference.api.formats.response_items import new_id, sealed
from inference.api.schemas.responses import ResponsesRequest
from inference.client import Event

DELTAS = {"text": "output_text", "reasoning": "reasoning_text", "call": "function_call_arguments"}
KINDS = {"text": "message", "reasoning": "reasoning", "call": "function_call"}


class ResponsesWire(PartsWire):
    """`response` is the object as it stands. `said` is what the stream said so far, for who listens later."""

    def __init__(self, response: Json, asked: ResponsesRequest, *, next_number: int = 0) -> None:
        super().__init__()
        self.response, self.id = response, response["id"]
        self.number = next_number
        self.said: list[bytes] = []
        self._keep_said = asked.store is not False and bool(asked.stream)
        self._logprobs = LOGPROBS in (asked.include or ()) or bool(asked.top_logprobs)
        self._sealed = "reasoning.encrypted_content" in (asked.include or ())
        self._background = bool(asked.background)
        self.keep_alive = b"" if self._background else sse.KEEP_ALIVE  # nobody listens to the making itself
        self._items: list[Json] = []
        self._head = b""

    def accept(self) -> bytes:
        """It is in line, and is made whoever listens."""
        return self._response_event("created") + self._response_event("queued")

    def whole(self, facts: Event, choices: Sequence[Json], finished: Sequence[Event]) -> bytes:
        cut = choices[0]["reason"] == "length"
        for part in self.parts:
            last = part is self.parts[-1]
            self._items.append(self._item(part, "incomplete" if cut and last else "completed"))
        self._finish(finished[0])
        return text_json(self.response).encode()

    def opening(self) -> bytes:
        self.response["status"] = "in_progress"
        created = b"" if self._background else self._response_event("created")
        return created + self._response_event("in_progress")

    def opened(self, part: Part) -> bytes:
        self._items.append(self._item(part, "in_progress"))
        item = {**self._items[-1], **({"content": []} if part.kind != "call" else {})}
        begun = self._event("response.output_item.added", output_index=part.index, item=item)
        if part.kind != "call":
            begun += self._about(part, "content_part.added", part=self._content(part))
        name = f"response.{DELTAS[part.kind]}.delta"
        self._head = f"event: {name}\ndata: {text_json({'type': name, **self._place(part)})[:-1]}".encode()
        return begun

    def piece(self, part: Part, text: str, logprobs: Sequence[Json]) -> bytes:
        shown = self._shown_logprobs(logprobs, brief=True)
        more = f',"logprobs":{text_json(shown)}' if part.kind == "text" else ""
        end = f',"delta":{text_json(text)}{more},"sequence_number":{self.number}}}\n\n'
        return self._numbered(self._head + end.encode())

    def closed(self, part: Part, *, cut: bool) -> bytes:
        item = self._items[-1] = self._item(part, "incomplete" if cut else "completed")
        match part.kind:
            case "text":
                logprobs = self._shown_logprobs(part.logprobs, brief=True)
                done = self._about(part, "output_text.done", text=part.text, logprobs=logprobs)
            case "reasoning":
                done = self._about(part, "reasoning_text.done", text=part.text)
            case "call":
                done = self._about(part, "function_call_arguments.done", name=part.name, arguments=part.text)
        if part.kind != "call":
            done += self._about(part, "content_part.done", part=self._content(part))
        return done + self._event("response.output_item.done", output_index=part.index, item=item)

    def closing(self, finished: Event) -> bytes:
        self._finish(finished)
        return self._response_event(self.response["status"])

    def error(self, failure: FmlxError) -> bytes:
        """The stream's own failure, then the response's."""
        facts = {"code": failure.code, "message": failure.message, "param": failure.param}
        return self._event("error", **facts) + self.fail(failure)

    def fail(self, failure: FmlxError) -> bytes:
        code = {429: "rate_limit_exceeded", 503: "server_error"}.get(failure.status)
        code = code or ("server_error" if failure.status >= 500 else "invalid_prompt")  # noqa: PLR2004
        error = {"code": code, "message": failure.message}
        self.response |= {"status": "failed", "error": error, "output": self._items}
        return self._response_event("failed")

    def _finish(self, finished: Event) -> None:
        cut = finished["choices"][0]["reason"] == "length"
        if not self._items:
            self._items.append(self._item(Part("text", 0), "incomplete" if cut else "completed"))
        self.response |= {
            "status": "incomplete" if cut else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "completed_at": None if cut else int(time.time()),
            "output": self._items,
            "usage": _usage(finished["usage"]),
            **({"warning": self.warning} if self.warning else {}),
        }

    def _item(self, part: Part, status: str) -> Json:
        kind = KINDS[part.kind]
        known = self._items[part.index]["id"] if part.index < len(self._items) else new_id(kind)
        item: Json = {"type": kind, "id": known, "status": status}
        if part.kind == "text":
            return item | {"role": "assistant", "content": [self._content(part)]}
        if part.kind == "call":
            return item | {"call_id": part.id, "name": part.name, "arguments": part.text}
        seal = {"encrypted_content": sealed(part.text)} if self._sealed and part.text else {}
        return item | {"summary": [], "content": [self._content(part)], **seal}

    def _content(self, part: Part) -> Json:
        if part.kind == "reasoning":
            return {"type": "reasoning_text", "text": part.text}
        logprobs = self._shown_logprobs(part.logprobs, brief=False)
        return {"type": "output_text", "text": part.text, "annotations": [], "logprobs": logprobs}

    def _shown_logprobs(self, logprobs: Sequence[Json], *, brief: bool) -> list[Json]:
        return [_logprob(one, brief=brief) for one in logprobs] if self._logprobs else []

    def _place(self, part: Part) -> Json:
        place: Json = {"item_id": self._items[-1]["id"], "output_index": part.index}
        return place if part.kind == "call" else place | {"content_index": 0}

    def _about(self, of: Part, event: str, /, **fields: Any) -> bytes:
        return self._event(f"response.{event}", **self._place(of), **fields)

    def _response_event(self, name: str) -> bytes:
        return self._event(f"response.{name}", response=self.response)

    def _event(self, event: str, /, **fields: Any) -> bytes:
        data = text_json({"type": event, **fields, "sequence_number": self.number})
        return self._numbered(f"event: {event}\ndata: {data}\n\n".encode())

    def _numbered(self, event: bytes) -> bytes:
        self.number += 1
        if self._keep_said:
            self.said.append(event)
        return event


def _logprob(one: Mapping[str, Any], *, brief: bool) -> Json:
    names = ("token", "logprob") if brief else ("token", "logprob", "bytes")
    top = [{name: other[name] for name in names} for other in one.get("top", ())]
    return {**{name: one[name] for name in names}, "top_logprobs": top}


def _usage(usage: Mapping[str, Any]) -> Json:
    prompt, completion = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": int(usage.get("cached_tokens") or 0), "cache_write_tokens": 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": int(usage.get("reasoning_tokens") or 0)},
        "total_tokens": prompt + completion,
    }
