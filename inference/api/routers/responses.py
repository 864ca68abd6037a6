import json
from typing import Annotated, Any, Literal

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from ninja import Query, Router

from fmlx_site.errors import InvalidRequest
from inference.api import sse
from inference.api.auth import for_prompts
from inference.api.body import read_json
from inference.api.docs import ERRORS, body_of
from inference.api.formats.response_items import page_of
from inference.api.generation import respond
from inference.api.parameters import declare
from inference.api.routers.tokens import inquire
from inference.api.schemas.responses import INERT, DeletedResponse, InputTokens, ItemList, Response, ResponsesRequest
from inference.models import ApiKey, StoredResponse
from inference.request_log.visit import current_visit
from inference.responses import background, store
from inference.responses.asking import Asked, revive, understand
from inference.responses.replay import follow

router = Router(tags=["responses"], auth=for_prompts())
declare("POST /v1/responses", ResponsesRequest, INERT)


class AuthorizedRequest(HttpRequest):
    auth: ApiKey


@router.post(
    "",
    response={200: Response, **ERRORS},
    openapi_extra=body_of(ResponsesRequest),
    summary="Answer items in OpenAI's Responses form: whole, as server-sent events, or in the background",
)
async def create_response(request: AuthorizedRequest) -> HttpResponseBase:
    asked = await understand(await read_json(request), request.auth)
    if asked.request.background:
        return await _in_background(asked)
    with asked.chat.in_the_clients_words():
        return await respond(asked.call)


async def _in_background(asked: Asked) -> HttpResponseBase:
    background.require_room()
    if visit := current_visit():
        visit.model, visit.streamed = asked.call.model.name, asked.row.streamed
    asked.wire.accept()
    queued, said, asked.wire.said = dict(asked.row.body), asked.wire.said, []
    await sync_to_async(store.keep)(asked.row, said)
    background.begin(asked.row, asked.call, asked.wire, current_visit())
    return sse.streamed(follow(asked.row.pk, -1)) if asked.request.stream else _answer(queued)


@router.post(
    "/input_tokens",
    response={200: InputTokens, **ERRORS},
    openapi_extra=body_of(ResponsesRequest),
    summary="Count the tokens of a response's prompt; nothing is computed",
)
async def count_input_tokens(request: AuthorizedRequest) -> InputTokens:
    asked = await understand(await read_json(request), request.auth)
    with asked.chat.in_the_clients_words():
        return InputTokens(input_tokens=(await inquire(asked.request.model, dict(asked.call.requests[0])))["count"])


@router.get("/{response_id}", response={200: Response, **ERRORS}, summary="Get a stored response, or stream it again")
async def get_response(
    request: AuthorizedRequest,
    response_id: str,
    stream: bool = False,
    starting_after: Annotated[int, Query(ge=-1)] = -1,
) -> HttpResponseBase:
    """`starting_after` is the number of the last event that is known."""
    row = await revive(await _mine(request, response_id))
    if not stream:
        return _answer(row.body)
    if not row.streamed:
        raise InvalidRequest(f"stream: {response_id} was not created with 'stream': true.", param="stream")
    return sse.streamed(follow(row.pk, starting_after))


@router.delete("/{response_id}", response={200: DeletedResponse, **ERRORS}, summary="Delete a stored response")
async def delete_response(request: AuthorizedRequest, response_id: str) -> DeletedResponse:
    row = await _mine(request, response_id)
    await sync_to_async(store.delete)(row)
    background.end(row.pk)
    return DeletedResponse(id=row.pk)


@router.post("/{response_id}/cancel", response={200: Response, **ERRORS}, summary="End a response in the background")
async def cancel_response(request: AuthorizedRequest, response_id: str) -> HttpResponseBase:
    row = await _mine(request, response_id)
    if not row.background:
        text = f"response_id: {response_id} is not made in the background; close its connection to end it."
        raise InvalidRequest(text, param="response_id")
    row = await sync_to_async(store.cancel)(row)
    background.end(row.pk)
    return _answer(row.body)


@router.get("/{response_id}/input_items", response={200: ItemList, **ERRORS}, summary="List what a response was asked")
async def list_input_items(
    request: AuthorizedRequest,
    response_id: str,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> ItemList:
    row = await _mine(request, response_id)
    data, more = page_of(row.input, order, after, limit)
    ids = [item["id"] for item in data] or ["", ""]
    return ItemList(data=data, first_id=ids[0], last_id=ids[-1], has_more=more)


async def _mine(request: AuthorizedRequest, response_id: str) -> StoredResponse:
    return await sync_to_async(store.find)(request.auth, response_id)


def _answer(body: dict[str, Any]) -> HttpResponse:
    return HttpResponse(json.dumps(body, ensure_ascii=False), content_type="application/json")
