"""One call on an encoder: its vectors or scores, as the engine sends them, by the number of each input."""

import base64
import sys
import uuid
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from inference.catalog import Served
from inference.client import Answer, Event
from inference.pool import engine_for
from inference.request_log.visit import current_visit

FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Encoded:
    """`rows` are little-endian float32s; `tokens` those of all inputs, special ones included, padding not."""

    id: str
    facts: Event
    rows: list[bytes]
    tokens: int

    @property
    def floats(self) -> Iterator["array[float]"]:
        return map(floats, self.rows)

    @property
    def scores(self) -> list[float]:
        return [row[0] for row in self.floats]


def floats(row: bytes) -> "array[float]":
    found = array("f", row)
    if sys.byteorder == "big":
        found.byteswap()
    return found


async def encode(model: Served, prefix: str, request: Event, count: int) -> Encoded:
    """Ask for `count` vectors or scores. Raises what the pool and the engine refuse with."""
    id_ = f"{prefix}-{uuid.uuid4().hex}"
    visit = current_visit()
    if visit:
        visit.model = model.name
    rows: list[bytes] = [b""] * count
    async with engine_for(model) as engine, engine.ask({**request, "id": id_}) as answer:
        if visit:
            visit.accepted(int(answer.accepted.get("prompt_tokens") or 0))
        finished = await _collect(answer, rows)
    if visit:
        visit.finished([finished])
    return Encoded(id_, answer.facts, rows, int(finished["usage"]["prompt_tokens"]))


async def _collect(answer: Answer, rows: list[bytes]) -> Event:
    while True:
        for event in await answer.next():
            if event.get("phase") == "vectors":
                _place(event, rows)
            elif event.get("phase") == "finished":
                return event


def _place(event: Event, rows: list[bytes]) -> None:
    data, numbers = base64.b64decode(event["data"]), event["numbers"]
    size = len(data) // len(numbers)
    for at, number in enumerate(numbers):
        rows[number] = data[at * size : (at + 1) * size]
