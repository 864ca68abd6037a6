"""Conversations as token ids, in batches of nearly equal lengths that know which tokens the model has to write."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from demo_models.chat import tasks
from demo_models.chat.conversation import Conversation

THINKING = 0.3  # how often the answer is thought about first
TOKENS = 1024  # in a batch, padding included
POOL = 64  # batches that are sorted by length together
END = "<|im_end|>"


@dataclass(frozen=True, slots=True)
class Batch:
    """`tokens` int32 [B, L], padded at the end; `at`, `wanted` int32 [N]: the flat places before the tokens to be
    written, and those tokens; `weights` float32 [N], whose sum is the number of answers."""

    tokens: np.ndarray
    at: np.ndarray
    wanted: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True, slots=True)
class Row:
    ids: list[int]
    answer: int  # where it begins


class Rows:
    """`tokenizer` is transformers' own, with the chat template."""

    def __init__(self, tokenizer: Any, seed: int, shares: tasks.Shares = tasks.SHARES) -> None:
        self._tokenizer = tokenizer
        self._chance = random.Random(seed)  # noqa: S311  reproducible, not secret
        self._source = tasks.trained(self._chance, shares)

    def batches(self) -> Iterator[Batch]:
        """Without end."""
        while True:
            found = list(self._pool())
            self._chance.shuffle(found)
            yield from found

    def row(self, conversation: Conversation, *, thinking: bool) -> Row:
        text = prompt(self._tokenizer, conversation, thinking=thinking)
        answer = f"<think>\n{conversation.thought}\n</think>\n\n" if thinking else ""
        before, after = (self._encode(part) for part in (text, f"{answer}{conversation.answer}{END}"))
        return Row(before + after, len(before))

    def _pool(self) -> Iterator[Batch]:
        rows: list[Row] = []
        while sum(len(row.ids) for row in rows[:: len(rows) // 64 or 1]) * (len(rows) // 64 or 1) < POOL * TOKENS:
            rows += [self.row(next(self._source), thinking=self._chance.random() < THINKING) for _ in range(64)]
        rows.sort(key=lambda row: len(row.ids))
        held: list[Row] = []
        for row in rows:
            if (len(held) + 1) * (len(row.ids) - 1) > TOKENS:
                yield _batch(held)
                held = []
            held.append(row)
        yield _batch(held)

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids)


def prompt(tokenizer: Any, conversation: Conversation, *, thinking: bool) -> str:
    """Up to where the answer begins."""
    return str(
        tokenizer.apply_chat_template(
            conversation.messages(),
            tools=list(conversation.tools) or None,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=thinking,
        )
    )


def _batch(rows: list[Row]) -> Batch:
    length = max(len(row.ids) for row in rows) - 1
    tokens = np.zeros((len(rows), length), np.int32)
    at: list[int] = []
    wanted: list[int] = []
    weights: list[float] = []
    for number, row in enumerate(rows):
        tokens[number, : len(row.ids) - 1] = row.ids[:-1]
        count = len(row.ids) - row.answer
        at += range(number * length + row.answer - 1, number * length + len(row.ids) - 1)
        wanted += row.ids[row.answer :]
        weights += [count**-0.5] * count
    return Batch(tokens, np.array(at, np.int32), np.array(wanted, np.int32), np.array(weights, np.float32))
