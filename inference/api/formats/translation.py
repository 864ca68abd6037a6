"""A request of another API as a request of chat: checked once, by chat, and answered about in its own words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fmlx_site.errors import FmlxError
from inference.api.body import Body
from inference.api.schemas import chat
from inference.api.schemas.sampling import Inert, parse, readable
from inference.errors import UnsupportedParameter

Json = dict[str, Any]
T = TypeVar("T", bound=BaseModel)
TAGS = frozenset(
    {"text", "image", "document", "thinking", "redacted_thinking", "tool_use", "tool_result"}
    | {"message", "function_call", "function_call_output", "reasoning", "input_text", "output_text", "input_image"}
    | {"input_file", "input_audio"}
    | {"refusal", "function", "reasoning_text", "summary_text"}
)


@dataclass(slots=True)
class Translated:
    """Chat's body, where each of its messages came from, and what the client calls chat's parameters."""

    body: Json
    names: Mapping[str, str]
    origins: list[str] = field(default_factory=list)
    engine: Json = field(default_factory=dict)  # what chat's body has no word for

    def request(self) -> Json:
        """For the engine. Raises as chat does, naming what the client sent."""
        with self.in_the_clients_words():
            asked = parse(chat.ChatRequest, self.body, chat.INERT)
            return asked.for_engine() | self.engine

    @contextmanager
    def in_the_clients_words(self) -> Iterator[None]:
        try:
            yield
        except FmlxError as error:
            if error.param and (own := self._own(error.param)) != error.param:
                error.message = re.sub(rf"(?<![\w.]){re.escape(error.param)}(?![\w.])", own, error.message)
                error.param = own
            raise

    def _own(self, param: str) -> str:
        first, _, rest = param.partition(".")
        number, _, field_ = rest.partition(".")
        if first == "messages" and number.isdigit() and int(number) < len(self.origins):
            return ".".join(filter(None, (self.origins[int(number)], field_)))
        best = max((name for name in self.names if _begins(param, name)), key=len, default=None)
        return self.names[best] + param.removeprefix(best) if best else param


def _begins(param: str, name: str) -> bool:
    return param == name or param.startswith(f"{name}.")


def read(schema: type[T], body: Body, inert: Inert) -> T:
    """As chat's parameters are read: null is absent, what is not supported is refused by its name."""
    given = {name: value for name, value in body.items() if value is not None}
    for name in [name for name in given if name in inert]:
        if given.pop(name) not in inert[name]:
            raise unsupported(name, inert[name])
    try:
        return schema.model_validate(given)
    except ValidationError as error:
        first: Any = error.errors(include_url=False)[0]
        raise readable({**first, "loc": tuple(_without_tags(first["loc"]))}) from None


def _without_tags(place: Sequence[str | int]) -> Iterator[str | int]:
    """The kind of an item, which pydantic puts behind its number, is no place in what was sent."""
    for number, part in enumerate(place):
        if not (number and isinstance(place[number - 1], int) and part in TAGS):
            yield part


def unsupported(name: str, instead: Sequence[Any] = ()) -> UnsupportedParameter:
    hint = f" Leave it out, or send {' or '.join(repr(value) for value in instead)}." if instead else " Leave it out."
    return UnsupportedParameter(f"This value of '{name}' is not supported.{hint}", param=name)
