"""`POST /v1/embeddings`: what may be asked, and what is answered."""

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BeforeValidator, Field

from inference.api.schemas.encoding import MAX_INPUTS, Cutting, Positive, TokensUsed

Input = str | list[int]
KINDS = "is a text, a list of texts, a list of token ids, or a list of such lists"


def _inputs(value: Any) -> Any:
    """One input, or several, each text or token ids; always as a list of inputs."""
    if isinstance(value, str) or (isinstance(value, list) and value and _is_token_ids(value)):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(one, str) or _is_token_ids(one) for one in value):
        raise ValueError(KINDS)
    if not all(value):
        raise ValueError(f"holds an empty input (number {next(n for n, one in enumerate(value) if not one)})")
    return value


def _is_token_ids(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)


class EmbeddingRequest(Cutting):
    input: Annotated[
        list[Input],
        BeforeValidator(_inputs),
        Field(min_length=1, max_length=MAX_INPUTS, description=f"It {KINDS}. Token ids are taken as they are."),
    ]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Positive = Field(None, description="The first so many values of each vector, made one long again.")

    def for_engine(self) -> dict[str, Any]:
        given = {"kind": "embed", "inputs": self.input, "param": "input", **self.cut()}
        return given | ({"dimensions": self.dimensions} if self.dimensions else {})


class Embedding(Schema):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingList(Schema):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: TokensUsed
