"""`POST /v1/tokenize` and `/v1/detokenize`, in the shapes that vLLM gave them."""

from typing import Annotated, Any

from ninja import Schema
from pydantic import BaseModel, ConfigDict, Field

from fmlx_site.errors import InvalidRequest
from inference.api.body import Body
from inference.api.formats.translation import read
from inference.api.schemas import chat
from inference.api.schemas.sampling import parse

MOST_TOKENS = 1_000_000
OF_CHAT = ("messages", "tools", "add_generation_prompt", "continue_final_message", "chat_template_kwargs")


class TokenizeRequest(BaseModel):
    """`prompt`, or what chat takes for a prompt: `messages` and what goes with them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: str | None = Field(None, description="Absent: the default model.")
    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    add_special_tokens: bool | None = Field(None, description="Of a `prompt`, true if absent; a template has its own.")
    return_token_strs: bool | None = None


class Tokenized(Schema):
    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None


class DetokenizeRequest(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    model: str | None = Field(None, description="Absent: the default model.")
    tokens: Annotated[list[int], Field(max_length=MOST_TOKENS)]


class Detokenized(Schema):
    prompt: str


def for_engine(body: Body) -> tuple[str | None, dict[str, Any]]:
    """The model that is asked for, and the engine's request. Raises InvalidRequest."""
    asked = read(TokenizeRequest, body, {})
    if (asked.prompt is None) == (asked.messages is None):
        raise InvalidRequest("Send either 'prompt' or 'messages'.", param="prompt")
    more = {"ids": True, "strings": bool(asked.return_token_strs)}
    if asked.messages is None:
        special = asked.add_special_tokens is not False
        return asked.model, {"kind": "completion", "prompt": asked.prompt, "add_special_tokens": special, **more}
    if asked.add_special_tokens:
        text = "'add_special_tokens' is for 'prompt'; a template adds its own."
        raise InvalidRequest(text, param="add_special_tokens")
    given = {name: value for name in OF_CHAT if (value := getattr(asked, name)) is not None}
    return asked.model, parse(chat.ChatRequest, given, chat.INERT).for_engine() | more
