"""`POST /v1/completions`: what may be asked, and what is answered."""

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BeforeValidator, Field, model_validator

from fmlx_site.errors import InvalidRequest
from inference.api.schemas.chat import Usage
from inference.api.schemas.sampling import MAX_CHOICES, Inert, Sampling
from inference.errors import UnsupportedParameter

INERT: Inert = {"suffix": ("",)}
DEFAULT_MAX_TOKENS = 16  # OpenAI's
MAX_PROMPTS = 64

Prompt = str | list[int]


def _prompts(value: Any) -> Any:
    """One prompt, or several, each text or token ids; always as a list of prompts."""
    if isinstance(value, str) or (isinstance(value, list) and value and _is_token_ids(value)):
        return [value]
    if not isinstance(value, list) or not all(isinstance(one, str) or _is_token_ids(one) for one in value):
        raise ValueError("is a text, a list of texts, a list of token ids, or a list of such lists")
    return value


def _is_token_ids(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)


class CompletionRequest(Sampling):
    prompt: Annotated[list[Prompt], BeforeValidator(_prompts), Field(min_length=1, max_length=MAX_PROMPTS)]
    best_of: Annotated[int | None, Field(ge=1, le=MAX_CHOICES)] = None
    echo: bool | None = None
    logprobs: Annotated[int | None, Field(ge=0, le=5)] = None

    @model_validator(mode="after")
    def _agrees(self) -> "CompletionRequest":
        if self.best_of is not None and self.best_of < (self.n or 1):
            raise InvalidRequest("'best_of' must be at least 'n', the choices that come back.", param="best_of")
        if self.stream and self.best_of not in (None, self.n or 1):
            raise InvalidRequest("'best_of' does not go with 'stream': the best is known at the end.", param="best_of")
        if self.echo and self.logprobs is not None:
            raise UnsupportedParameter("'echo' is not supported together with 'logprobs'.", param="echo")
        if self.echo and not all(isinstance(prompt, str) for prompt in self.prompt):
            raise UnsupportedParameter("'echo' is supported for prompts that are text.", param="echo")
        return self

    def for_engine_each(self) -> list[dict[str, Any]]:
        """One request of the engine's for each prompt."""
        shared = {"kind": "completion", "max_tokens": DEFAULT_MAX_TOKENS, **super().for_engine()}
        if self.best_of is not None:
            shared["best_of"] = self.best_of
        if self.logprobs is not None:
            shared |= {"logprobs": True, "top_logprobs": self.logprobs}
        return [{**shared, "prompt": prompt} for prompt in self.prompt]


class CompletionLogprobs(Schema):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class CompletionChoice(Schema):
    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length"]


class Completion(Schema):
    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage
