"""`POST /v1/chat/completions`: what may be asked, and what is answered."""

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from fmlx_site.errors import InvalidRequest
from inference.api.schemas.sampling import UNREAD, Inert, Sampling, Tokens
from inference.api.schemas.structure import ResponseFormat
from inference.api.schemas.tools import MAX_TOOLS, CallBefore, Choice, Tool, choice_for_engine

INERT: Inert = {
    "store": (False,),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
    "functions": (),
    "function_call": (),
    "audio": (),
    "prediction": (),
    "verbosity": (),
    "web_search_options": (),
    "moderation": (),
    "prompt_cache_options": (),
    "prompt_cache_retention": (),
}
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
OUR_TEMPLATE_VARIABLES = frozenset(
    {"conversation", "messages", "tools", "tokenize", "return_dict", "add_generation_prompt", "continue_final_message"}
)
UNREAD_PARTS = ("image_url", "input_audio", "file")
NULL_IN_ANSWERS = ("refusal", "tool_calls", "function_call", "audio", "annotations", "reasoning_content")


Effort = Annotated[
    Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None,
    Field(description="none: the model does not think. Where a model knows no effort, it is a bound of its thought."),
]


def _joined(content: Any) -> Any:
    """Text, or a list of text parts, as text."""
    if not isinstance(content, list):
        return content
    return "".join(_text_of(part, number) for number, part in enumerate(content))


def _text_of(part: Any, number: int) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in UNREAD_PARTS:
        raise PydanticCustomError(UNREAD, "{kind}", {"kind": kind, "at": number})
    text = part.get(kind) if kind in ("text", "refusal") else None
    if not isinstance(text, str):
        raise PydanticCustomError("part", "is no part with a 'type' and its text", {"at": number})
    return text


class Message(BaseModel):
    """One turn. An assistant's may come back as it was answered, with what is null in it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str | None, BeforeValidator(_joined)] = None
    name: str | None = None
    tool_calls: Annotated[list[CallBefore], Field(min_length=1)] | None = None
    reasoning_content: str | None = Field(None, description="What the assistant thought; templates may leave it out.")
    tool_call_id: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if name not in NULL_IN_ANSWERS or value is not None}

    @model_validator(mode="after")
    def _says_something(self) -> "Message":
        if self.content is None and self.role != "assistant":
            raise ValueError("has no content; send text")
        if self.role != "assistant" and (self.tool_calls or self.reasoning_content):
            raise ValueError("has 'tool_calls' or 'reasoning_content', which are of an assistant's message only")
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise ValueError("has 'tool_call_id' if, and only if, its role is 'tool'")
        return self

    def for_template(self) -> dict[str, Any]:
        said: dict[str, Any] = {"role": ROLES[self.role], "content": self.content or ""}
        if self.tool_calls:
            said["tool_calls"] = [call.model_dump() for call in self.tool_calls]
        more = {"name": self.name, "reasoning_content": self.reasoning_content, "tool_call_id": self.tool_call_id}
        return said | {name: value for name, value in more.items() if value}


class ChatRequest(Sampling):
    """OpenAI's request, for text. `chat_template_kwargs` and the two after it are passed to the chat template."""

    messages: Annotated[list[Message], Field(min_length=1)]
    tools: Annotated[list[Tool] | None, Field(max_length=MAX_TOOLS)] = None
    tool_choice: Choice = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Effort = None
    thinking_token_budget: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = Field(
        None, description="Tokens of thought at most; 0 is none. Not in OpenAI's API."
    )
    response_format: ResponseFormat | None = None
    max_completion_tokens: Tokens = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None

    @model_validator(mode="after")
    def _agrees(self) -> "ChatRequest":
        if taken := OUR_TEMPLATE_VARIABLES & set(self.chat_template_kwargs or ()):
            message = f"'chat_template_kwargs' cannot set {', '.join(sorted(taken))}, which the server sets itself."
            raise InvalidRequest(message, param="chat_template_kwargs")
        if self.top_logprobs is not None and not self.logprobs:
            raise InvalidRequest("'top_logprobs' needs 'logprobs': true.", param="top_logprobs")
        if None not in (self.max_tokens, self.max_completion_tokens) and self.max_tokens != self.max_completion_tokens:
            message = "'max_tokens' is the older name of 'max_completion_tokens', and they differ; send one of them."
            raise InvalidRequest(message, param="max_tokens")
        if self.tool_choice is not None and not self.tools and self.tool_choice != "none":
            raise InvalidRequest("'tool_choice' needs 'tools'.", param="tool_choice")
        if self._format and self.structured_outputs:
            message = "'response_format' and 'structured_outputs' exclude each other; send one of them."
            raise InvalidRequest(message, param="structured_outputs")
        return self

    @property
    def _format(self) -> dict[str, Any] | None:
        return self.response_format.for_engine() if self.response_format else None

    @property
    def _reasoning(self) -> dict[str, Any] | None:
        asked = {"effort": self.reasoning_effort, "budget": self.thinking_token_budget}
        given = {name: value for name, value in asked.items() if value is not None}
        place = "reasoning_effort" if self.reasoning_effort else "thinking_token_budget"
        return {**given, "place": place} if given else None

    def for_engine(self) -> dict[str, Any]:
        own = {
            "max_tokens": self.max_completion_tokens,
            "logprobs": self.logprobs,
            "top_logprobs": self.top_logprobs,
            "template": self.chat_template_kwargs,
            "add_generation_prompt": self.add_generation_prompt,
            "continue_final_message": self.continue_final_message,
            "tools": [tool.model_dump(exclude_none=True) for tool in self.tools] if self.tools else None,
            "tool_choice": choice_for_engine(self.tool_choice),
            "parallel_tool_calls": self.parallel_tool_calls,
            "reasoning": self._reasoning,
            "structure": self._format,
        }
        given = {name: value for name, value in own.items() if value is not None}
        messages = [message.for_template() for message in self.messages]
        if not self.tools:
            given.pop("tool_choice", None)
        return {"kind": "chat", "messages": messages, **super().for_engine(), **given}


class TopLogprob(Schema):
    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class ChatLogprobs(Schema):
    content: list[TokenLogprob] | None
    refusal: None = None


class CalledFunction(Schema):
    name: str
    arguments: str = Field(description="JSON text.")


class Called(Schema):
    id: str
    type: Literal["function"]
    function: CalledFunction


class AnswerMessage(Schema):
    """`reasoning_content` is not in OpenAI's API; it is there if the model thought, `tool_calls` if it called."""

    role: Literal["assistant"]
    content: str | None
    refusal: None
    reasoning_content: str | None = None
    tool_calls: list[Called] | None = None


class ChatChoice(Schema):
    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: Literal["stop", "length", "tool_calls"]
    warning: str | None = Field(None, description="Not in OpenAI's API: what began as a call, and is given as text.")


class PromptDetails(Schema):
    cached_tokens: int


class CompletionDetails(Schema):
    reasoning_tokens: int


class Usage(Schema):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class ChatCompletion(Schema):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage
