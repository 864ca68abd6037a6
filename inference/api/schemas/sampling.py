"""What chat and completions have in common: the parameters of sampling, checked as far as that needs no model."""

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar

from ninja.errors import ValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic import ValidationError as PydanticError

from fmlx_site.errors import InvalidRequest
from inference.api.body import Body
from inference.api.errors import invalid
from inference.api.schemas.structure import StructuredOutputs
from inference.errors import NoEyes, UnknownParameter, UnsupportedParameter

MAX_CHOICES = 16
UNREAD = "unread_part"  # the type of pydantic's error for a part that is no text; its number is `at`
MAX_STOPS = 16
UNION_MEMBERS = ("str", "list[int]")  # pydantic's names for what a client does not see
Request = TypeVar("Request", bound=BaseModel)

# Given with one of these values a parameter asks for what happens anyway; with any other it is refused by its name.
Inert = Mapping[str, tuple[Any, ...]]


def _stops(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Stops = Annotated[
    list[Annotated[str, Field(min_length=1)]] | None,
    BeforeValidator(_stops),
    Field(max_length=MAX_STOPS, description="Up to 16 texts; the answer ends before the first that comes up."),
]
Tokens = Annotated[int | None, Field(ge=1, le=2**31 - 1)]
Penalty = Annotated[float | None, Field(ge=-2, le=2)]


class StreamOptions(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    include_usage: bool | None = None
    include_obfuscation: bool | None = Field(None, description="Accepted; nothing is obfuscated here.")
    continuous_usage_stats: bool | None = Field(
        None, description="vLLM's: with `include_usage`, every chunk says what was used until then."
    )


class Sampling(BaseModel):
    """Absent is the model's own default. `top_k`, `min_p` and `repetition_penalty` are not in OpenAI's API."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: str | None = Field(None, description="Absent: the default model.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Tokens = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=-1, le=2**31 - 1)] = None
    min_p: Annotated[float | None, Field(ge=0, le=1)] = None
    presence_penalty: Penalty = None
    frequency_penalty: Penalty = None
    repetition_penalty: Annotated[float | None, Field(gt=0, le=10)] = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    seed: Annotated[int | None, Field(ge=-(2**63), le=2**63 - 1)] = None
    stop: Stops = None
    ignore_eos: bool | None = None
    n: Annotated[int | None, Field(ge=1, le=MAX_CHOICES)] = None
    structured_outputs: StructuredOutputs | None = None
    cache: bool | None = Field(None, description="false: the prompt is neither taken from the prefix cache nor kept.")
    user: str | None = Field(None, description="Accepted; has no effect.")
    metadata: dict[str, str] | None = Field(None, description="Accepted; has no effect.")
    safety_identifier: str | None = Field(None, description="Accepted; has no effect.")
    prompt_cache_key: str | None = Field(None, description="Accepted; has no effect.")

    @model_validator(mode="after")
    def _streams(self) -> Self:
        if self.stream_options and not self.stream:
            text = "'stream_options' is for streams; send 'stream': true with it."
            raise InvalidRequest(text, param="stream_options")
        return self

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def continuous_usage(self) -> bool:
        return self.include_usage and bool(self.stream_options and self.stream_options.continuous_usage_stats)

    def for_engine(self) -> dict[str, Any]:
        """The parameters that were given, as `inference/engine/messages.py` names them."""
        names = ("max_tokens", "temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty")
        more = ("repetition_penalty", "logit_bias", "seed", "stop", "ignore_eos", "n", "cache")
        given = {name: value for name in names + more if (value := getattr(self, name)) is not None}
        if self.structured_outputs:
            given["structure"] = self.structured_outputs.for_engine()
        return given | {"stream": bool(self.stream)}


def parse(schema: type[Request], body: Body, inert: Inert) -> Request:
    """Null is absent.

    Raises:
        InvalidRequest, UnsupportedParameter, UnknownParameter: naming the first parameter that is wrong.
    """
    given = {name: value for name, value in body.items() if value is not None}
    for name in [name for name in given if name in inert]:
        if given.pop(name) not in inert[name]:
            allowed = " or ".join(repr(value) for value in inert[name])
            hint = f" Leave it out, or send {allowed}." if allowed else " Leave it out."
            raise UnsupportedParameter(f"This value of '{name}' is not supported yet.{hint}", param=name)
    try:
        return schema.model_validate(given)
    except PydanticError as error:
        raise readable(error.errors(include_url=False)[0]) from None


def _is_union_member(part: Any) -> bool:
    return part in UNION_MEMBERS or str(part).startswith("literal[")


def _within(first: Any) -> tuple[int, ...]:
    """A part's number, which its validator knows."""
    at = first.get("ctx", {}).get("at")
    return () if at is None else (at,)


def readable(first: Any) -> InvalidRequest:
    """One of pydantic's errors, as a client sees it."""
    first["loc"] = (*first["loc"], *_within(first))
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return UnknownParameter(f"'{name}' is not a parameter of this endpoint.", param=name)
    if first["type"] == UNREAD:
        return NoEyes(name, first["ctx"]["kind"])
    if first["type"] == "model_type":  # pydantic's words name a class of ours
        first["msg"] = "Input should be a JSON object"
    first["loc"] = ("body", *(part for part in first["loc"] if not _is_union_member(part)))
    return invalid(ValidationError([first]))
