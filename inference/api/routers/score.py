import asyncio
import math
import operator
import time
from collections.abc import Sequence

from django.http import HttpRequest
from ninja import Router

from inference.api.auth import needs
from inference.api.body import read_json
from inference.api.docs import ERRORS, body_of
from inference.api.encoding import Encoded, encode
from inference.api.parameters import declare
from inference.api.schemas.encoding import TokensUsed
from inference.api.schemas.rerank import Score, ScoreList, ScoreRequest
from inference.api.schemas.sampling import parse
from inference.catalog import Served, recent_catalog
from inference.models import ModelFolder, Scope

router = Router(tags=["reranking"], auth=needs(Scope.EMBEDDINGS))
declare("POST /v1/score", ScoreRequest, {})
Vector = Sequence[float]


@router.post(
    "",
    response={200: ScoreList, **ERRORS},
    openapi_extra=body_of(ScoreRequest),
    summary="Say how well texts go together, pair by pair",
)
async def create_score(request: HttpRequest) -> ScoreList:
    asked = parse(ScoreRequest, await read_json(request), {})
    catalog = await recent_catalog.read()
    model = catalog.model_for(ModelFolder.Type.RERANK, asked.model, ModelFolder.Type.EMBEDDING)
    found, scores = await _compared(model, asked)
    return ScoreList(
        id=found.id,
        object="list",
        created=int(time.time()),
        model=model.name,
        data=[Score(index=index, object="score", score=score) for index, score in enumerate(scores)],
        usage=TokensUsed(prompt_tokens=found.tokens, total_tokens=found.tokens),
    )


async def _compared(model: Served, asked: ScoreRequest) -> tuple[Encoded, list[float]]:
    """By a reranker, or by how near the vectors of an embedding model are."""
    count = len(asked.text_2)
    shared = {"param": "text_2", **asked.cut()}
    if model.type == ModelFolder.Type.RERANK:
        found = await encode(model, "score", {"kind": "score", **asked.pairs(), **shared}, count)
        return found, found.scores
    inputs = [*asked.text_1, *asked.text_2]
    found = await encode(model, "score", {"kind": "embed", "inputs": inputs, **shared}, len(inputs))
    return found, await asyncio.to_thread(_cosines, found, count)


def _cosines(found: Encoded, count: int) -> list[float]:
    vectors = list(found.floats)
    firsts, seconds = vectors[:-count], vectors[-count:]
    return [_cosine(firsts[at if len(firsts) > 1 else 0], second) for at, second in enumerate(seconds)]


def _cosine(first: Vector, second: Vector) -> float:
    lengths = math.sqrt(_product(first, first) * _product(second, second))
    return _product(first, second) / lengths if lengths else 0.0


def _product(first: Vector, second: Vector) -> float:
    return math.fsum(map(operator.mul, first, second))
