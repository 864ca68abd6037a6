"""The form that an answer is to have: OpenAI's `response_format`, and vLLM's `structured_outputs` for the rest."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

STRICT = ConfigDict(strict=True, extra="forbid")
KINDS = {
    "json": "json_schema",
    "regex": "regex",
    "choice": "choice",
    "grammar": "grammar",
    "json_object": "json_object",
}


class JsonSchema(BaseModel):
    """Without `strict`, what of a schema an answer cannot be held to is left out of it; with it, it is refused."""

    model_config = STRICT

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    strict: bool | None = None


class ResponseFormat(BaseModel):
    model_config = STRICT

    type: Literal["text", "json_object", "json_schema"]
    json_schema_: Annotated[JsonSchema | None, Field(alias="json_schema")] = None

    @model_validator(mode="after")
    def _agrees(self) -> "ResponseFormat":
        if (self.type == "json_schema") != (self.json_schema_ is not None):
            raise ValueError("has 'json_schema' if, and only if, its type is 'json_schema'")
        return self

    def for_engine(self) -> dict[str, Any] | None:
        if self.type == "text":
            return None
        if self.json_schema_ is None or self.json_schema_.schema_ is None:
            return {"json_object": True, "place": "response_format"}
        place = "response_format.json_schema.schema"
        return {"json_schema": self.json_schema_.schema_, "lenient": not self.json_schema_.strict, "place": place}


class StructuredOutputs(BaseModel):
    """One of them: a JSON schema (an object, or as text), a regular expression, a choice of texts, or a grammar in
    Lark's form or GBNF."""

    model_config = STRICT

    json_: Annotated[dict[str, Any] | None, Field(alias="json")] = None
    regex: Annotated[str | None, Field(min_length=1)] = None
    choice: Annotated[list[Annotated[str, Field(min_length=1)]] | None, Field(min_length=1, max_length=1024)] = None
    grammar: Annotated[str | None, Field(min_length=1)] = None
    json_object: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> "StructuredOutputs":
        if len(self._given()) != 1:
            raise ValueError(f"must have one of {', '.join(KINDS)}")
        return self

    def for_engine(self) -> dict[str, Any]:
        ((name, value),) = self._given().items()
        return {KINDS[name]: value, "place": f"structured_outputs.{name}"}

    def _given(self) -> dict[str, Any]:
        values = {name: getattr(self, "json_" if name == "json" else name) for name in KINDS}
        return {name: value for name, value in values.items() if value is not None}
