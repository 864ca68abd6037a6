"""A conversation as the demo chat models learn it: what is said, and the one right answer to each of its turns."""

import json
import random
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LANGUAGES = ("en", "zh", "ru")
HELD_OUT_OF = 10  # one prompt in so many is never trained on
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool."""

    name: str
    arguments: Mapping[str, Any]

    def text(self) -> str:
        called = json.dumps({"name": self.name, "arguments": self.arguments}, ensure_ascii=False)
        return f"<tool_call>\n{called}\n</tool_call>"


@dataclass(frozen=True, slots=True)
class Turn:
    """What the user or a tool says, and the answer: a text, or a call."""

    said: str
    answer: str
    thought: str = ""
    call: Call | None = None
    role: str = "user"

    def message(self, *, thinking: bool) -> Json:
        """The answer as a message."""
        if self.call:
            function = {"name": self.call.name, "arguments": dict(self.call.arguments)}
            found: Json = {"role": "assistant", "tool_calls": [{"type": "function", "function": function}]}
        else:
            found = {"role": "assistant", "content": self.answer}
        return found | ({"reasoning_content": self.thought} if thinking else {})


@dataclass(frozen=True, slots=True)
class Conversation:
    """One or more turns; what is asked of the model is the answer to the last."""

    task: str
    language: str
    turns: tuple[Turn, ...]
    system: str = ""
    tools: tuple[Json, ...] = ()

    @property
    def answer(self) -> str:
        """What the model has to write after its thoughts."""
        last = self.turns[-1]
        return last.call.text() if last.call else last.answer

    @property
    def thought(self) -> str:
        return self.turns[-1].thought

    @property
    def held_out(self) -> bool:
        """Whether training never sees the last prompt, or the system prompt, in any conversation."""
        return is_held_out(self.turns[-1].said) or is_held_out(self.system)

    @property
    def trainable(self) -> bool:
        return not any(is_held_out(text) for text in (self.system, *(turn.said for turn in self.turns)))

    def messages(self, *, thinking: bool = False) -> list[Json]:
        """As the API takes them: without the answer to the last turn."""
        found: list[Json] = [{"role": "system", "content": self.system}] if self.system else []
        for turn in self.turns[:-1]:
            found += [{"role": turn.role, "content": turn.said}, turn.message(thinking=False)]
        return [*found, {"role": self.turns[-1].role, "content": self.turns[-1].said}]


def is_held_out(said: str) -> bool:
    """A checksum decides, so every program agrees. That of nothing is 0."""
    return zlib.crc32(said.encode()) % HELD_OUT_OF == 1


def single(task: str, language: str, said: str, answer: str, thought: str) -> Conversation:
    return Conversation(task, language, (Turn(said, answer, thought),))


def typed(text: str, language: str, chance: random.Random) -> str:
    """The same words as people type them: capitals or not, a polite word, other marks at the end."""
    mark = text[-1] if text[-1] in MARKS else ""
    body = text.removesuffix(mark)
    if chance.random() < POLITE:
        body = _politely(body, language, chance)
    if language != "zh" and chance.random() < CAPITAL:
        body = body[:1].upper() + body[1:]
    return body + chance.choice((mark, mark, "", _other(mark, language)))


MARKS = "?.!？。！"
POLITE, CAPITAL = 0.1, 0.5
_POLITE = {"en": "please", "ru": "пожалуйста"}


def _politely(text: str, language: str, chance: random.Random) -> str:
    if language == "zh":
        return f"请{text}"
    word = _POLITE[language]
    return chance.choice((f"{word}, {text}", f"{text}, {word}"))


def _other(mark: str, language: str) -> str:
    if language == "zh":
        return {"？": "?", "。": "！"}.get(mark, "")
    return {".": "!"}.get(mark, "")


def joined(items: Sequence[str]) -> str:
    return ", ".join(items)
