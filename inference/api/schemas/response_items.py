"""What goes into a response and comes out of it: messages, calls of functions, what they gave, and thoughts."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Status = Literal["in_progress", "completed", "incomplete"]


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class InputText(Strict):
    type: Literal["input_text"]
    text: str
    prompt_cache_breakpoint: dict[str, Any] | None = Field(None, description="Accepted; has no effect.")


class OutputText(Strict):
    type: Literal["output_text"]
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class Refusal(Strict):
    type: Literal["refusal"]
    refusal: str


class Unread(BaseModel):
    """What no model here reads; it is refused by its place."""

    type: Literal["input_image", "input_file", "input_audio"]


def _parts(value: Any) -> Any:
    return [{"type": "input_text", "text": value}] if isinstance(value, str) else value


Part = Annotated[InputText | OutputText | Refusal | Unread, Field(discriminator="type")]


class Message(Strict):
    type: Literal["message"]
    role: Literal["user", "assistant", "system", "developer"]
    content: Annotated[list[Part], BeforeValidator(_parts)]
    id: str | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = Field(None, description="Accepted; has no effect.")


class FunctionCall(Strict):
    type: Literal["function_call"]
    call_id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    arguments: str
    id: str | None = None
    status: Status | None = None


ResultPart = Annotated[InputText | Unread, Field(discriminator="type")]


class FunctionCallOutput(Strict):
    type: Literal["function_call_output"]
    call_id: Annotated[str, Field(min_length=1)]
    output: str | list[ResultPart]
    id: str | None = None
    status: Status | None = None


class ReasoningText(Strict):
    type: Literal["reasoning_text"]
    text: str


class SummaryText(Strict):
    type: Literal["summary_text"]
    text: str


class Thought(Strict):
    """`encrypted_content` is what this server gave: the text itself, signed."""

    type: Literal["reasoning"]
    id: str | None = None
    summary: list[SummaryText] = Field(default_factory=list)
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None
    status: Status | None = None


Item = Annotated[Message | FunctionCall | FunctionCallOutput | Thought, Field(discriminator="type")]


def as_items(value: Any) -> Any:
    """A text is a message of the user's, and what has a role is a message without saying so. Null is absent."""
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    return [_as_item(item) for item in value] if isinstance(value, list) else value


def _as_item(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    given = {name: item for name, item in value.items() if item is not None}
    return {"type": "message", **given} if "role" in given else given
