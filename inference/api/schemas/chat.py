"""`POST /v1/chat/completions`: what may be asked, and what is answered."""

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from fmlx_site.errors import InvalidRequest
from inference.api.schemas.sampling import Inert, Sampling, Tokens

INERT: Inert = {
    "store": (False,),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "service_tier": ("auto", "default"),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (),
    "functions": (),
    "function_call": (),
    "audio": (),
    "prediction": (),
    "reasoning_effort": (),
    "verbosity": (),
    "web_search_options": (),
    "moderation": (),
    "prompt_cache_options": (),
    "prompt_cache_retention": (),
}
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
OUR_TEMPLATE_VARIABLES = frozenset(
    {"conversation", "messages", "tools", "tokenize", "return_dict", "add_generation_prompt", "continue_final_message"}
)
NULL_IN_ANSWERS = ("refusal", "tool_calls", "function_call", "audio", "annotations")


def _joined(content: Any) -> Any:
    """Text, or a list of text parts, as text."""
    if not isinstance(content, list):
        return content
    return "".join(_text_of(part) for part in content)


def _text_of(part: Any) -> str:
    if not isinstance(part, dict) or part.get("type") != "text":
        kind = part.get("type") if isinstance(part, dict) else part
        raise ValueError(f"has a part of type {kind!r}; this server reads text parts only")
    text = part.get("text")
    if not isinstance(text, str):
        raise ValueError("has a text part without 'text'")  # noqa: TRY004 - pydantic takes it for the field's fault
    return text


class Message(Schema):
    """One turn. An assistant's may come back as it was answered, with what is null in it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str | None, BeforeValidator(_joined)] = None
    name: str | None = None

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
        return self

    def for_template(self) -> dict[str, str]:
        said = {"role": ROLES[self.role], "content": self.content or ""}
        return said | ({"name": self.name} if self.name else {})


class ChatRequest(Sampling):
    """OpenAI's request, for text. `chat_template_kwargs` and the two after it are passed to the chat template."""

    messages: Annotated[list[Message], Field(min_length=1)]
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
        return self

    def for_engine(self) -> dict[str, Any]:
        own = {
            "max_tokens": self.max_completion_tokens,
            "logprobs": self.logprobs,
            "top_logprobs": self.top_logprobs,
            "template": self.chat_template_kwargs,
            "add_generation_prompt": self.add_generation_prompt,
            "continue_final_message": self.continue_final_message,
        }
        given = {name: value for name, value in own.items() if value is not None}
        messages = [message.for_template() for message in self.messages]
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
