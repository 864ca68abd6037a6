"""What embeddings, reranking and scoring have in common."""

from typing import Annotated, Any

from ninja import Schema
from pydantic import BaseModel, ConfigDict, Field

MAX_INPUTS = 2048  # OpenAI's
MAX_CHARACTERS = 8 * 1024**2  # of all texts of one request; the body's own limit comes first where it is lower
Positive = Annotated[int | None, Field(ge=1, le=2**31 - 1)]


class Cutting(BaseModel):
    """A text that is too long is refused, unless cutting it is asked for."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: str | None = Field(None, description="Absent: the default model.")
    truncate: bool | None = Field(None, description="true: a text that is too long for the model is cut at its end.")
    truncate_prompt_tokens: Annotated[int | None, Field(ge=-1, le=2**31 - 1)] = Field(
        None, description="Cut to so many tokens, special ones included; -1: to as many as the model takes."
    )
    user: str | None = Field(None, description="Accepted; has no effect.")

    def cut(self) -> dict[str, Any]:
        """For the engine: `most` tokens of a row, if cutting was asked for."""
        if self.truncate_prompt_tokens is not None and self.truncate_prompt_tokens > 0:
            return {"most": self.truncate_prompt_tokens}
        return {"most": 2**31 - 1} if self.truncate or self.truncate_prompt_tokens == -1 else {}


class TokensUsed(Schema):
    prompt_tokens: int
    total_tokens: int
