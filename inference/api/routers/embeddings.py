import asyncio
import base64

from django.http import HttpRequest, HttpResponse
from ninja import Router

from inference.api.auth import needs
from inference.api.body import read_json
from inference.api.chunks import text_json
from inference.api.docs import ERRORS, body_of
from inference.api.encoding import Encoded, encode, floats
from inference.api.parameters import declare
from inference.api.schemas.embeddings import EmbeddingList, EmbeddingRequest
from inference.api.schemas.sampling import parse
from inference.catalog import recent_catalog
from inference.models import ModelFolder, Scope

router = Router(tags=["embeddings"], auth=needs(Scope.EMBEDDINGS))
declare("POST /v1/embeddings", EmbeddingRequest, {})
MANY_BYTES = 256 * 1024  # of vectors, to be written beside the event loop


@router.post(
    "",
    response={200: EmbeddingList, **ERRORS},
    openapi_extra=body_of(EmbeddingRequest),
    summary="Make vectors of texts",
)
async def create_embeddings(request: HttpRequest) -> HttpResponse:
    asked = parse(EmbeddingRequest, await read_json(request), {})
    model = (await recent_catalog.read()).model_for(ModelFolder.Type.EMBEDDING, asked.model)
    found = await encode(model, "embd", asked.for_engine(), len(asked.input))
    packed = asked.encoding_format == "base64"
    if sum(map(len, found.rows)) > MANY_BYTES:
        body = await asyncio.to_thread(_written, found, model.name, packed=packed)
    else:
        body = _written(found, model.name, packed=packed)
    return HttpResponse(body, content_type="application/json", headers={"X-Request-Id": found.id})


def _written(found: Encoded, model: str, *, packed: bool) -> bytes:
    write = _packed if packed else _listed
    data = ",".join(
        f'{{"object":"embedding","index":{index},"embedding":{write(row)}}}' for index, row in enumerate(found.rows)
    )
    usage = {"prompt_tokens": found.tokens, "total_tokens": found.tokens}
    return f'{{"object":"list","data":[{data}],"model":{text_json(model)},"usage":{text_json(usage)}}}'.encode()


def _packed(row: bytes) -> str:
    return f'"{base64.b64encode(row).decode()}"'


def _listed(row: bytes) -> str:
    """Nine digits are what a float32 can tell apart."""
    return f"[{','.join(f'{value:.9g}' for value in floats(row))}]"
