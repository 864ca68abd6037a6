"""`POST /v1/messages` and `/v1/messages/count_tokens`: Anthropic's request and answer."""

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from inference.api.schemas.sampling import Inert

INERT: Inert = {
    "container": (),
    "mcp_servers": (),
    "inference_geo": (),
    "diagnostics": (),
    "service_tier": ("auto", "standard_only"),
    "speed": ("standard",),
}
HARMLESS_EDITS = ("clear_thinking_20251015",)


class Block(BaseModel):
    """`cache_control` is accepted everywhere and has no effect: every prompt is kept in the prefix cache anyway."""

    model_config = ConfigDict(strict=True, extra="forbid")

    cache_control: dict[str, Any] | None = None


def _blocks(value: Any) -> Any:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


class TextBlock(Block):
    type: Literal["text"]
    text: str
    citations: Annotated[list[Any] | None, Field(max_length=0)] = None


class ImageBlock(Block):
    type: Literal["image"]
    source: dict[str, Any]


class DocumentBlock(Block):
    type: Literal["document"]
    source: dict[str, Any]
    title: str | None = None
    context: str | None = None
    citations: dict[str, Any] | None = None


class ThinkingBlock(Block):
    """`signature` is accepted as it was sent; nothing is checked by it."""

    type: Literal["thinking"]
    thinking: str
    signature: str = ""


class RedactedThinkingBlock(Block):
    """Cannot be read here, and is left out."""

    type: Literal["redacted_thinking"]
    data: str = ""


class ToolUseBlock(Block):
    type: Literal["tool_use"]
    id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    input: dict[str, Any]
    caller: dict[str, Any] | None = None


ResultPart = Annotated[TextBlock | ImageBlock | DocumentBlock, Field(discriminator="type")]


class ToolResultBlock(Block):
    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(min_length=1)]
    content: Annotated[list[ResultPart], BeforeValidator(_blocks)] = Field(default_factory=list)
    is_error: bool | None = None


ContentBlock = Annotated[
    TextBlock | ImageBlock | DocumentBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock | ToolResultBlock,
    Field(discriminator="type"),
]


class Turn(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    role: Literal["user", "assistant", "system"]
    content: Annotated[list[ContentBlock], BeforeValidator(_blocks)]


class Tool(Block):
    """A tool that the client runs. Those that Anthropic runs are not supported."""

    type: Literal["custom"] | None = None
    name: Annotated[str, Field(min_length=1, max_length=128)]
    description: str | None = None
    input_schema: dict[str, Any]
    strict: bool | None = None
    eager_input_streaming: bool | None = Field(None, description="Has no effect: arguments are streamed as they form.")


class ToolChoice(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Annotated[int | None, Field(ge=1, le=2**31 - 1)] = None
    display: Literal["summarized", "omitted"] | None = Field(None, description="`summarized` is the whole of it here.")


class Format(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", populate_by_name=True)

    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: Format | None = None


class Metadata(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    user_id: str | None = Field(None, description="Accepted; has no effect.")


class CountTokensRequest(BaseModel):
    """What takes part in the prompt."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: str | None = Field(None, description="Absent: the default model.")
    messages: Annotated[list[Turn], Field(min_length=1, max_length=100_000)]
    system: Annotated[list[TextBlock] | None, BeforeValidator(_blocks)] = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    context_management: dict[str, Any] | None = Field(None, description="Only edits that keep everything.")
    cache_control: dict[str, Any] | None = Field(None, description="Accepted; has no effect.")
    user_profile_id: str | None = Field(None, description="Accepted; has no effect.")


class MessagesRequest(CountTokensRequest):
    """Anthropic's request. `temperature` may be up to 2, as in chat."""

    max_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)]
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: Metadata | None = None


class TokensCounted(Schema):
    input_tokens: int


class MessageUsage(Schema):
    """The whole prompt has `input_tokens` and `cache_read_input_tokens` together."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int


class MessageAnswer(Schema):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]] = Field(description="Blocks of type `text`, `thinking` and `tool_use`.")
    stop_reason: Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"]
    stop_sequence: str | None
    usage: MessageUsage
    warning: str | None = Field(None, description="Not in Anthropic's API: what began as a call, and is given as text.")


class AnthropicErrorObject(Schema):
    type: str
    message: str


class AnthropicError(Schema):
    type: Literal["error"]
    error: AnthropicErrorObject
    request_id: str | None
