"""`POST /v1/rerank`, `/v2/rerank` and `/v1/score`: Cohere's, Jina's and vLLM's shapes."""

from typing import Annotated, Any, Literal, Self

from ninja import Schema
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from inference.api.schemas.encoding import MAX_INPUTS, Cutting, Positive, TokensUsed
from inference.api.schemas.sampling import Inert

INERT: Inert = {
    "max_chunks_per_doc": (),
    "rank_fields": (["text"],),
    "relevant_spans": (),
    "priority": (0,),
}
Text = Annotated[str, Field(min_length=1)]


class TextObject(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    text: Text


def _documents(value: Any) -> Any:
    """Each a text, or an object with one."""
    if not isinstance(value, list):
        raise ValueError(  # noqa: TRY004 - pydantic makes its errors of this one
            "is a list of texts, or of objects with 'text'"
        )
    for at, one in enumerate(value):
        text = one.get("text") if isinstance(one, dict) and set(one) == {"text"} else one
        if not isinstance(text, str):
            problem = f"holds something that is neither a text nor an object with only 'text' (number {at})"
            raise ValueError(problem)  # noqa: TRY004
    return [one["text"] if isinstance(one, dict) else one for one in value]


class RerankRequest(Cutting):
    query: Text
    documents: Annotated[
        list[str],
        BeforeValidator(_documents),
        Field(min_length=1, max_length=MAX_INPUTS, description="Texts, or objects with 'text'."),
    ]
    top_n: Positive = Field(None, description="So many of the best; absent: all.")
    return_documents: bool | None = Field(None, description="true: with each result its document.")
    max_tokens_per_doc: Positive = Field(None, description="Documents are cut to so many tokens.")

    def for_engine(self) -> dict[str, Any]:
        given = {"kind": "score", "firsts": [self.query], "seconds": self.documents, "param": "documents", **self.cut()}
        return given | ({"most_second": self.max_tokens_per_doc} if self.max_tokens_per_doc else {})


class RerankDocument(Schema):
    text: str


class RerankResult(Schema):
    index: int
    relevance_score: float
    document: RerankDocument | None = None


class ApiVersion(Schema):
    version: str


class BilledUnits(Schema):
    search_units: int


class RerankMeta(Schema):
    api_version: ApiVersion
    billed_units: BilledUnits


class Rerank(Schema):
    """`relevance_score` is between 0 and 1; the best result comes first."""

    id: str
    model: str
    results: list[RerankResult]
    meta: RerankMeta
    usage: TokensUsed


def _texts(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Texts = Annotated[list[Text], BeforeValidator(_texts), Field(min_length=1, max_length=MAX_INPUTS)]


class ScoreRequest(Cutting):
    """One text against many, or each against the one at its own place."""

    text_1: Texts
    text_2: Texts

    @model_validator(mode="after")
    def _pairs_up(self) -> Self:
        if len(self.text_1) not in (1, len(self.text_2)):
            raise ValueError(f"'text_1' has {len(self.text_1)} texts and 'text_2' {len(self.text_2)}: one, or as many")
        return self

    def pairs(self) -> dict[str, list[str]]:
        """For the engine."""
        return {"firsts": self.text_1, "seconds": self.text_2}


class Score(Schema):
    index: int
    object: Literal["score"]
    score: float


class ScoreList(Schema):
    """`score` is a reranker's, between 0 and 1, or the cosine of two vectors of an embedding model."""

    id: str
    object: Literal["list"]
    created: int
    model: str
    data: list[Score]
    usage: TokensUsed
