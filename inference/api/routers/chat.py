from django.http import HttpRequest, HttpResponseBase
from ninja import Router

from inference.api.auth import cache_salt, for_prompts
from inference.api.body import read_json
from inference.api.chunks import ChatWire
from inference.api.docs import ERRORS, body_of
from inference.api.generation import Call, respond
from inference.api.parameters import declare
from inference.api.schemas.chat import INERT, ChatCompletion, ChatRequest
from inference.api.schemas.sampling import parse
from inference.catalog import recent_catalog

router = Router(tags=["chat"], auth=for_prompts())
declare("POST /v1/chat/completions", ChatRequest, INERT)


@router.post(
    "/completions",
    response={200: ChatCompletion, **ERRORS},
    openapi_extra=body_of(ChatRequest),
    summary="Answer a conversation, whole or as server-sent events",
)
async def create_chat_completion(request: HttpRequest) -> HttpResponseBase:
    asked = parse(ChatRequest, await read_json(request), INERT)
    model = (await recent_catalog.read()).chat_model(asked.model)
    wire = ChatWire(model.name, include_usage=asked.include_usage, continuous_usage=asked.continuous_usage)
    return await respond(
        Call(model, [asked.for_engine() | cache_salt(request)], asked.n or 1, bool(asked.stream), wire)
    )
