from django.http import HttpRequest, HttpResponseBase
from ninja import Router

from inference.api.auth import cache_salt, for_prompts
from inference.api.body import read_json
from inference.api.chunks import CompletionWire
from inference.api.docs import ERRORS, body_of
from inference.api.generation import Call, respond
from inference.api.parameters import declare
from inference.api.schemas.completions import INERT, Completion, CompletionRequest
from inference.api.schemas.sampling import parse
from inference.catalog import recent_catalog

router = Router(tags=["completions"], auth=for_prompts())
declare("POST /v1/completions", CompletionRequest, INERT)


@router.post(
    "",
    response={200: Completion, **ERRORS},
    openapi_extra=body_of(CompletionRequest),
    summary="Complete one prompt or several, whole or as server-sent events",
)
async def create_completion(request: HttpRequest) -> HttpResponseBase:
    asked = parse(CompletionRequest, await read_json(request), INERT)
    model = (await recent_catalog.read()).chat_model(asked.model)
    echoed = [str(prompt) for prompt in asked.prompt] if asked.echo else []
    wire = CompletionWire(
        model.name, echoed, include_usage=asked.include_usage, continuous_usage=asked.continuous_usage
    )
    requests = [each | cache_salt(request) for each in asked.for_engine_each()]
    return await respond(Call(model, requests, asked.n or 1, bool(asked.stream), wire))
