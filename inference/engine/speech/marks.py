"""The marks that a model puts around its thoughts and its tool calls, as mlx-lm finds them in its tokenizer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

# Marks within a call. Where a tokenizer calls them special they are text all the same: a call is read by them.
WITHIN = (
    "<|tool_call_begin|>",
    "<|tool_call_end|>",
    "<|tool_call_argument_begin|>",
    "[ARGS]",
    "[CALL_ID]",
    '<|"|>',
    "<escape>",
    "<arg_key>",
    "</arg_key>",
    "<arg_value>",
    "</arg_value>",
)
Parse = Callable[[str, Any], Any]


@dataclass(frozen=True, slots=True)
class Mark:
    text: str
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Marks:
    """None where a model has none. `family` is mlx-lm's name of the form that calls have, and `parse` reads one: what
    is between the marks, and the tools, to {name, arguments, id?} or a list of such."""

    think_start: Mark | None = None
    think_end: Mark | None = None
    call_start: Mark | None = None
    call_end: Mark | None = None
    family: str = ""
    parse: Parse | None = None
    within: Mapping[str, int] | None = None  # token ids of the marks within a call

    @property
    def all_tokens(self) -> set[int]:
        marks = (self.think_start, self.think_end, self.call_start, self.call_end)
        return {token for mark in marks if mark for token in mark.tokens} | set((self.within or {}).values())

    @classmethod
    def of(cls, tokenizer: Any) -> "Marks":
        """`tokenizer` is mlx-lm's wrapper."""
        parse = tokenizer.tool_parser
        vocabulary = tokenizer.get_vocab()
        return cls(
            think_start=_mark(tokenizer.think_start, tokenizer.think_start_tokens),
            think_end=_mark(tokenizer.think_end, tokenizer.think_end_tokens),
            call_start=_mark(tokenizer.tool_call_start, tokenizer.tool_call_start_tokens),
            call_end=_mark(tokenizer.tool_call_end, tokenizer.tool_call_end_tokens),
            family=parse.__module__.rpartition(".")[2] if parse else "",
            parse=parse,
            within={text: vocabulary[text] for text in WITHIN if text in vocabulary} if parse else {},
        )


def _mark(text: str | None, tokens: tuple[int, ...] | None) -> Mark | None:
    return Mark(text, tuple(tokens)) if text and tokens else None
