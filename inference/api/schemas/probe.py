"""`POST /v1/cache/probe`: which blocks of a prompt are in the prefix cache."""

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import BaseModel, ConfigDict, Field

from fmlx_site.errors import InvalidRequest
from inference.api.body import Body
from inference.api.schemas import chat, completions
from inference.api.schemas.sampling import parse


class ProbeRequest(BaseModel):
    """What a request of chat or of completions would send, and as either reads it."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(None, description="Absent: the default model.")
    messages: list[chat.Message] | None = Field(None, description="This, or `prompt`.")
    prompt: str | list[int] | None = None


class Block(Schema):
    end: Annotated[int, Field(description="Tokens of the prompt up to the end of this block.")]
    where: Literal["hot", "ssd", "absent"]
    complete: Annotated[bool, Field(description="With the snapshots that some models need to go on from it.")]


class Probed(Schema):
    object: Literal["cache.probe"] = "cache.probe"
    model: str
    prompt_tokens: int
    block_tokens: int
    cached_tokens: Annotated[int, Field(description="That would not be computed again.")]
    blocks: list[Block]


def for_engine(body: Body) -> tuple[str | None, dict[str, Any]]:
    """The model that is asked for, and the engine's request. Raises as the two endpoints do."""
    if body.get("messages") is not None:
        asked = parse(chat.ChatRequest, body, chat.INERT)
        return asked.model, asked.for_engine()
    if body.get("prompt") is None:
        raise InvalidRequest("Send 'messages' or 'prompt'.", param="messages")
    one = parse(completions.CompletionRequest, body, completions.INERT)
    if len(one.prompt) != 1:
        raise InvalidRequest("A probe is about one prompt.", param="prompt")
    return one.model, one.for_engine_each()[0]
