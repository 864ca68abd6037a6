"""From a request to a response: its prompt, its row, and the call that makes it, now or in the background."""

import time
import uuid
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.utils import timezone
from ninja import Schema
from pydantic import TypeAdapter

from fmlx_site.errors import FmlxError, Unavailable
from inference.api.auth import salt_of
from inference.api.body import Body
from inference.api.formats.from_responses import translated
from inference.api.formats.response_items import kept
from inference.api.formats.responses_wire import ResponsesWire
from inference.api.formats.translation import Json, Translated, read
from inference.api.generation import Call
from inference.api.schemas.response_items import Item
from inference.api.schemas.responses import INERT, ResponsesRequest
from inference.catalog import Served, recent_catalog
from inference.keys.meter import PROCESS
from inference.models import ApiKey, StoredResponse
from inference.responses import background, store

ITEMS: TypeAdapter[list[Item]] = TypeAdapter(list[Item])
ECHOED = ("user", "safety_identifier", "prompt_cache_key")  # which may be absent and not null
SHOWN = 2  # events before anything of the answer: created, queued
GONE = "The server ended while it worked on this response, and some of it had been streamed. Send it again."


@dataclass(slots=True)
class Asked:
    """`row` is not saved yet. `chat` says whatever fails in the words of the request."""

    request: ResponsesRequest
    chat: Translated
    call: Call
    wire: ResponsesWire
    row: StoredResponse

    @property
    def kept(self) -> bool:
        return self.request.store is not False


async def understand(body: Body, key: ApiKey) -> Asked:
    """Raises InvalidRequest, UnsupportedParameter or ModelNotFound, naming what is wrong."""
    request = read(ResponsesRequest, body, INERT)
    before, items = await sync_to_async(store.earlier)(key, request.previous_response_id)
    chat = translated(request, ITEMS.validate_python(items))
    prompt = chat.request() | salt_of(key)
    model = (await recent_catalog.read()).chat_model(request.model)
    row = _row(body, request, key, before, model)
    return _asked(request, chat, prompt, model, row)


def _asked(request: ResponsesRequest, chat: Translated, prompt: Json, model: Served, row: StoredResponse) -> Asked:
    wire = ResponsesWire(row.body, request, next_number=SHOWN if row.attempts > 1 else 0)
    stream = bool(request.stream or request.background)

    async def keep() -> None:
        row.status, row.body = wire.response["status"], wire.response
        await sync_to_async(store.keep)(row, wire.said)

    kept_by_itself = request.background or request.store is False
    call = Call(model, [prompt], 1, stream, wire, keep=None if kept_by_itself else keep)
    return Asked(request, chat, call, wire, row)


def _row(body: Body, request: ResponsesRequest, key: ApiKey, before: list[str], model: Served) -> StoredResponse:
    status = "queued" if request.background else "in_progress"
    response = response_object(f"resp_{uuid.uuid4().hex}", status, request, model)
    return StoredResponse(
        id=response["id"],
        key=key,
        status=status,
        background=bool(request.background),
        streamed=bool(request.stream),
        asked=body if request.background else {},
        before=before,
        input=[kept(item) for item in request.input],
        body=response,
        maker=PROCESS if request.background else "",
        seen_at=timezone.now(),
        attempts=1,
    )


def response_object(id_: str, status: str, request: ResponsesRequest, model: Served) -> Json:
    """OpenAI's object for a request, before there is an answer. What the model decides by itself is null."""
    own = model.settings.sampling
    tools = [{"description": None, "parameters": None, "strict": None, **_plain(tool)} for tool in request.tools or ()]
    wanted = request.text.format if request.text else None
    echoed = {name: value for name in ECHOED if (value := getattr(request, name))}
    return {
        "id": id_,
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": status,
        "background": bool(request.background),
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": None,
        "model": model.name,
        "output": [],
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "reasoning": {"effort": request.reasoning.effort if request.reasoning else None, "summary": None},
        "service_tier": "default",
        "store": request.store is not False,
        "temperature": own.get("temperature") if request.temperature is None else request.temperature,
        "text": {"format": _plain(wanted) if wanted else {"type": "text"}},
        "tool_choice": _plain(request.tool_choice) or "auto",
        "tools": tools,
        "top_logprobs": request.top_logprobs or 0,
        "top_p": own.get("top_p") if request.top_p is None else request.top_p,
        "truncation": "disabled",
        "metadata": request.metadata or {},
        **echoed,
    }


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", by_alias=True, exclude_none=True) if isinstance(value, Schema) else value


async def revive(row: StoredResponse) -> StoredResponse:
    """If its maker is gone, it is made again here; or, when some of it was shown, it has failed."""
    if not row.background or background.is_made_here(row.pk) or not await sync_to_async(store.forsaken)(row):
        return row
    shown = await sync_to_async(store.last_number)(row.pk)
    if not await sync_to_async(store.claim)(row, PROCESS):
        return await StoredResponse.objects.filter(pk=row.pk).afirst() or row
    try:
        if shown > SHOWN or row.attempts > store.MOST_ATTEMPTS:
            raise Unavailable(GONE)
        await sync_to_async(store.take_back)(row, SHOWN)
        asked = await _again(row)
    except FmlxError as error:
        return await _give_up(row, error, shown + 1)
    background.begin(row, asked.call, asked.wire, None)
    return row


async def _again(row: StoredResponse) -> Asked:
    request = read(ResponsesRequest, row.asked, INERT)
    _, items = await sync_to_async(store.earlier)(row.key, request.previous_response_id)
    chat = translated(request, ITEMS.validate_python(items))
    model = (await recent_catalog.read()).chat_model(request.model)
    return _asked(request, chat, chat.request() | salt_of(row.key), model, row)


async def _give_up(row: StoredResponse, error: FmlxError, number: int) -> StoredResponse:
    request = read(ResponsesRequest, row.asked, INERT)
    wire = ResponsesWire(row.body, request, next_number=number)
    wire.error(error)
    row.body, row.status = wire.response, wire.response["status"]
    await sync_to_async(store.settle)(row, number, wire.said)
    return row
