"""`POST /v1/responses`: what may be asked, and what is answered. Its items are in `response_items.py`."""

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from inference.api.schemas.response_items import Item, as_items
from inference.api.schemas.sampling import Inert

INERT: Inert = {
    "conversation": (),
    "context_management": (),
    "max_tool_calls": (),
    "moderation": (),
    "prompt": (),
    "prompt_cache_options": (),
    "prompt_cache_retention": (),
    "service_tier": ("auto", "default"),
    "truncation": ("disabled",),
}
Efforts = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
MOST_METADATA = 16  # OpenAI's limits, here and below
MetadataKey = Annotated[str, Field(max_length=64)]
MetadataValue = Annotated[str, Field(max_length=512)]
Include = Literal["message.output_text.logprobs", "reasoning.encrypted_content"]


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", populate_by_name=True)


class FunctionTool(Strict):
    type: Literal["function"]
    name: Annotated[str, Field(min_length=1)]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedFunction(Strict):
    type: Literal["function"]
    name: str


class AllowedTools(Strict):
    type: Literal["allowed_tools"]
    mode: Literal["auto", "required"]
    tools: list[NamedFunction]


ToolChoice = Literal["none", "auto", "required"] | NamedFunction | AllowedTools


class TextFormat(Strict):
    type: Literal["text", "json_object"]


class SchemaFormat(Strict):
    type: Literal["json_schema"]
    name: str
    schema_: dict[str, Any] = Field(alias="schema")
    description: str | None = None
    strict: bool | None = None


class Text(Strict):
    format: Annotated[TextFormat | SchemaFormat | None, Field(discriminator="type")] = None
    verbosity: Literal["medium"] | None = None


class Reasoning(Strict):
    effort: Efforts | None = None
    summary: Literal["auto"] | None = Field(None, description="The whole of it is given, and no summary is made.")
    generate_summary: Literal["auto"] | None = None


class StreamOptions(Strict):
    include_obfuscation: bool | None = Field(None, description="Accepted; nothing is obfuscated here.")


class ResponsesRequest(Strict):
    """OpenAI's request. What is stored goes with the key, and after the time that the settings give."""

    model: str | None = Field(None, description="Absent: the default model.")
    input: Annotated[list[Item], BeforeValidator(as_items), Field(min_length=1)]
    instructions: str | None = None
    previous_response_id: str | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    max_output_tokens: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None
    include: list[Include] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = Field(None, description="true if absent.")
    background: bool | None = None
    metadata: Annotated[dict[MetadataKey, MetadataValue] | None, Field(max_length=MOST_METADATA)] = None
    user: str | None = Field(None, description="Accepted; has no effect.")
    safety_identifier: Annotated[str | None, Field(max_length=64)] = None
    prompt_cache_key: str | None = Field(None, description="Accepted; has no effect.")


class Response(Schema):
    """OpenAI's response object; what is not set is null or absent, as there."""

    model_config = ConfigDict(extra="allow")

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
    background: bool
    error: dict[str, Any] | None
    incomplete_details: dict[str, Any] | None
    instructions: str | None
    max_output_tokens: int | None
    model: str
    output: list[dict[str, Any]]
    parallel_tool_calls: bool
    previous_response_id: str | None
    metadata: dict[str, str]
    tools: list[dict[str, Any]]
    tool_choice: Any
    temperature: float | None
    top_p: float | None
    warning: str | None = Field(None, description="Not in OpenAI's API: what began as a call, and is given as text.")


class DeletedResponse(Schema):
    id: str
    object: Literal["response"] = "response"
    deleted: Literal[True] = True


class ItemList(Schema):
    object: Literal["list"] = "list"
    data: list[dict[str, Any]]
    first_id: str
    last_id: str
    has_more: bool


class InputTokens(Schema):
    object: Literal["response.input_tokens"] = "response.input_tokens"
    input_tokens: int
