"""Texts are checked and tokenised here, on threads that never compute."""

from collections.abc import Callable
from typing import Any

from inference.engine.encoder.checkpoint import Plan
from inference.engine.encoder.requests import Request
from inference.engine.encoder.texts import Texts
from inference.engine.messages import Refusal
from inference.engine.sorting import Sorter
from memory.protocol import Channel, Message

Deliver = Callable[[Request | Message], None]


class Intake(Sorter[Request]):
    """`deliver` gets what the encoder must act on."""

    def __init__(self, channel: Channel, plan: Plan, texts: Texts, deliver: Deliver) -> None:
        super().__init__(channel, deliver)
        self._plan, self._texts = plan, texts

    def _checked(self, id_: str, message: Message, arrived: float) -> Request:
        kind, param = message.get("kind"), str(message.get("param") or "input")
        if kind == "embed" and self._plan.task == "embedding":
            rows = self._texts.rows(_texts(message, "inputs", param), _count(message, "most"), param)
            return Request(id_, rows, arrived, dimensions=self._dimensions(message))
        if kind == "score" and self._plan.task == "rerank":
            seconds = _texts(message, "seconds", param)
            firsts = _texts(message, "firsts", param)
            pairs = list(zip(firsts * (len(seconds) if len(firsts) == 1 else 1), seconds, strict=True))
            rows = self._texts.pairs(pairs, _count(message, "most"), _count(message, "most_second"), param)
            return Request(id_, rows, arrived, scored=True)
        raise Refusal(400, "invalid_value", f"A model for {self._plan.task} does not answer {kind!r:.40}.")

    def _dimensions(self, message: Message) -> int | None:
        wanted = _count(message, "dimensions")
        if wanted and wanted > self._plan.width:
            text = f"This model's vectors have {self._plan.width:,} dimensions, and {wanted:,} were asked for."
            raise Refusal(400, "invalid_value", text, param="dimensions")
        return wanted


def _texts(message: Message, name: str, param: str) -> list[Any]:
    found = message.get(name)
    if not isinstance(found, list) or not found:
        raise Refusal(400, "empty_prompt", "There is no text to work on.", param=param)
    return found


def _count(message: Message, name: str) -> int | None:
    found = message.get(name)
    return int(found) if found is not None else None
