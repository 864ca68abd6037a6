from django.http import HttpRequest, HttpResponseBase
from ninja import Router

from inference.api.auth import cache_salt, for_prompts
from inference.api.body import read_json
from inference.api.docs import body_of
from inference.api.formats.anthropic import check_version
from inference.api.formats.from_messages import translated
from inference.api.formats.messages_wire import MessagesWire
from inference.api.formats.translation import read
from inference.api.generation import Call, respond
from inference.api.parameters import declare
from inference.api.routers.tokens import inquire
from inference.api.schemas.messages import (
    INERT,
    AnthropicError,
    CountTokensRequest,
    MessageAnswer,
    MessagesRequest,
    TokensCounted,
)
from inference.catalog import recent_catalog

router = Router(tags=["messages"], auth=for_prompts())
declare("POST /v1/messages", MessagesRequest, INERT)
ERRORS = dict.fromkeys((400, 401, 403, 404, 408, 413, 415, 429, 500, 503), AnthropicError)


@router.post(
    "",
    response={200: MessageAnswer, **ERRORS},
    openapi_extra=body_of(MessagesRequest),
    summary="Answer a conversation in Anthropic's form, whole or as server-sent events",
)
async def create_message(request: HttpRequest) -> HttpResponseBase:
    check_version(request)
    asked = read(MessagesRequest, await read_json(request), INERT)
    chat = translated(asked)
    prompt = chat.request() | cache_salt(request)
    model = (await recent_catalog.read()).chat_model(asked.model)
    shown = not (asked.thinking and asked.thinking.display == "omitted")
    wire = MessagesWire(model.name, asked.max_tokens, show_thinking=shown)
    with chat.in_the_clients_words():
        return await respond(Call(model, [prompt], 1, bool(asked.stream), wire))


@router.post(
    "/count_tokens",
    response={200: TokensCounted, **ERRORS},
    openapi_extra=body_of(CountTokensRequest),
    summary="Count the tokens of a prompt in Anthropic's form; nothing is computed",
)
async def count_tokens(request: HttpRequest) -> TokensCounted:
    check_version(request)
    asked = read(CountTokensRequest, await read_json(request), INERT)
    prompt = translated(asked).request()
    return TokensCounted(input_tokens=(await inquire(asked.model, prompt))["count"])
