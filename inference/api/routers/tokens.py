import uuid

from django.http import HttpRequest
from ninja import Router

from inference.api.auth import for_prompts
from inference.api.body import read_json
from inference.api.docs import ERRORS, body_of
from inference.api.formats.translation import read
from inference.api.schemas.tokens import Detokenized, DetokenizeRequest, Tokenized, TokenizeRequest, for_engine
from inference.catalog import recent_catalog
from inference.client import Event
from inference.pool import engine_for

router = Router(tags=["tokens"], auth=for_prompts())


@router.post(
    "tokenize",
    response={200: Tokenized, **ERRORS},
    openapi_extra=body_of(TokenizeRequest),
    summary="Give the tokens of a text or a conversation",
)
async def tokenize(request: HttpRequest) -> Tokenized:
    name, asked = for_engine(await read_json(request))
    found = await inquire(name, asked)
    limit = found["context_limit"]
    return Tokenized(count=found["count"], max_model_len=limit, tokens=found["ids"], token_strs=found.get("strings"))


@router.post(
    "detokenize",
    response={200: Detokenized, **ERRORS},
    openapi_extra=body_of(DetokenizeRequest),
    summary="Give the text of tokens",
)
async def detokenize(request: HttpRequest) -> Detokenized:
    asked = read(DetokenizeRequest, await read_json(request), {})
    return Detokenized(prompt=(await inquire(asked.model, {"tokens": asked.tokens}))["text"])


async def inquire(name: str | None, asked: Event) -> Event:
    """What the engine of a model says of tokens. Raises as the pool and the engine do."""
    model = (await recent_catalog.read()).chat_model(name)
    async with engine_for(model) as engine:
        return await engine.tokens({**asked, "id": f"tokens-{uuid.uuid4().hex}"})
