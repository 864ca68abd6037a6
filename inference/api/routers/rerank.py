import math

from django.http import HttpRequest
from ninja import Router

from inference.api.auth import needs
from inference.api.body import read_json
from inference.api.docs import ERRORS, body_of
from inference.api.encoding import Encoded, encode
from inference.api.parameters import declare
from inference.api.schemas.encoding import TokensUsed
from inference.api.schemas.rerank import (
    INERT,
    ApiVersion,
    BilledUnits,
    Rerank,
    RerankDocument,
    RerankMeta,
    RerankRequest,
    RerankResult,
)
from inference.api.schemas.sampling import parse
from inference.catalog import recent_catalog
from inference.models import ModelFolder, Scope

DOCUMENTS_A_UNIT = 100  # Cohere's search unit is a query with up to so many documents

first, second = (Router(tags=["reranking"], auth=needs(Scope.EMBEDDINGS)) for _ in range(2))
declare("POST /v1/rerank", RerankRequest, INERT)


async def rerank(request: HttpRequest) -> Rerank:
    asked = parse(RerankRequest, await read_json(request), INERT)
    model = (await recent_catalog.read()).model_for(ModelFolder.Type.RERANK, asked.model)
    found = await encode(model, "rerank", asked.for_engine(), len(asked.documents))
    version = request.path.split("/")[1].removeprefix("v")
    return Rerank(
        id=found.id,
        model=model.name,
        results=_results(asked, found),
        meta=RerankMeta(
            api_version=ApiVersion(version=version),
            billed_units=BilledUnits(search_units=math.ceil(len(asked.documents) / DOCUMENTS_A_UNIT)),
        ),
        usage=TokensUsed(prompt_tokens=found.tokens, total_tokens=found.tokens),
    )


for version, router in enumerate((first, second), 1):
    router.post(
        "/rerank",
        operation_id=f"rerank_v{version}",
        response={200: Rerank, **ERRORS},
        exclude_none=True,
        openapi_extra=body_of(RerankRequest),
        summary="Put documents in order for a query",
    )(rerank)


def _results(asked: RerankRequest, found: Encoded) -> list[RerankResult]:
    """The best first; of equals, the one that came first."""
    ranked = sorted(enumerate(found.scores), key=lambda one: (-one[1], one[0]))[: asked.top_n]
    return [
        RerankResult(
            index=index,
            relevance_score=score,
            document=RerankDocument(text=asked.documents[index]) if asked.return_documents else None,
        )
        for index, score in ranked
    ]
