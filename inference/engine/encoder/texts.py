"""From texts to the tokens of one row each. No MLX here.

What a client sends is text: a special token's name in it is not taken for the token, so that no document can end its
own row and speak for the template.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.engine.encoder.checkpoint import Plan
from inference.engine.messages import Refusal
from memory.protocol import WorkerFailed

# The prompt of Qwen3-Reranker, as its card gives it (Qwen, June 2025).
BEFORE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct"
    ' provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
AFTER = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
QUERY_IN = "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n<Query>: "
QUERY_OUT = "\n<Document>: "


@dataclass(frozen=True, slots=True)
class Row:
    """Token ids, and which of a pair each belongs to."""

    ids: list[int]
    types: list[int]

    def __len__(self) -> int:
        return len(self.ids)


class Texts:
    """`limit`: the most tokens of one row, special ones included."""

    def __init__(self, tokenizer: Any, plan: Plan, vocab: int, limit: int) -> None:
        self._tokenizer, self._plan, self._vocab, self._limit = tokenizer, plan, vocab, limit
        self._before = self._ids(BEFORE) if plan.head == "words" else []
        self._after = self._ids(AFTER) if plan.head == "words" else []
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()

    @property
    def yes_no(self) -> tuple[int, int]:
        """The tokens whose likelihoods a language model's score is made of."""
        return self._tokenizer.token_to_id("yes") or 0, self._tokenizer.token_to_id("no") or 0

    def rows(self, inputs: Sequence[str | list[int]], most: int | None, param: str) -> list[Row]:
        """A row for each input, cut to `most` tokens if that is given. Token ids are taken as they are.

        Raises Refusal: empty, too long, or no tokens of this model.
        """
        texts = [self._plan.prompt + one for one in inputs if isinstance(one, str)]
        encoded = iter(self._encoded(texts))
        return [
            self._alone(next(encoded), place, most, param)
            if isinstance(one, str)
            else self._given(one, place, most, param)
            for place, one in enumerate(inputs)
        ]

    def pairs(
        self, pairs: Sequence[tuple[str, str]], most: int | None, most_second: int | None, param: str
    ) -> list[Row]:
        """A row for each pair. With `most` tokens for a row, or `most_second` for its second text, that one is cut.
        Raises Refusal."""
        before, between = ("", "") if self._plan.head != "words" else (QUERY_IN, QUERY_OUT)
        firsts = self._encoded([f"{before}{first}{between}" for first in dict.fromkeys(first for first, _ in pairs)])
        by_text = dict(zip(dict.fromkeys(first for first, _ in pairs), firsts, strict=True))
        seconds = self._encoded([second for _, second in pairs])
        for second in seconds:
            if most_second is not None and len(second) > most_second:
                second.truncate(most_second)
        return [
            self._together(by_text[first], second, place, most, param)
            for place, ((first, _), second) in enumerate(zip(pairs, seconds, strict=True))
        ]

    def _encoded(self, texts: list[str]) -> list[Any]:
        return list(self._tokenizer.encode_batch(texts, add_special_tokens=False))

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _alone(self, text: Any, place: int, most: int | None, param: str) -> Row:
        around = self._tokenizer.num_special_tokens_to_add(False)
        self._fit(text, len(text) + around, place, most, param)
        row = _row(self._tokenizer.post_process(text))
        if not row.ids:
            raise Refusal(400, "empty_prompt", f"Number {place} is empty: it has no tokens.", param=param)
        return row

    def _together(self, first: Any, second: Any, place: int, most: int | None, param: str) -> Row:
        if self._plan.head == "words":
            around = len(self._before) + len(self._after)
            self._fit(second, len(first) + len(second) + around, place, most, param)
            ids = [*self._before, *first.ids, *second.ids, *self._after]
            return Row(ids, [0] * len(ids))
        around = self._tokenizer.num_special_tokens_to_add(True)
        self._fit(second, len(first) + len(second) + around, place, most, param)
        return _row(self._tokenizer.post_process(first, second))

    def _given(self, ids: list[int], place: int, most: int | None, param: str) -> Row:
        wrong = next((one for one in ids if not 0 <= one < self._vocab), None)
        if wrong is not None:
            text = f"{wrong} is no token of this model, which has {self._vocab:,}. Send text, or its own tokens."
            raise Refusal(400, "invalid_value", text, param=param)
        if len(ids) > self._limit and most is None:
            raise too_long(len(ids), self._limit, place, param)
        ids = ids[: min(most or self._limit, self._limit)]
        return Row(ids, [0] * len(ids))

    def _fit(self, last: Any, tokens: int, place: int, most: int | None, param: str) -> None:
        """Cut the last text of a row of so many tokens, if that is asked for and enough. Raises Refusal."""
        over = tokens - min(most or self._limit, self._limit)
        if over <= 0:
            return
        if most is None or over > len(last):
            raise too_long(tokens, min(most or self._limit, self._limit), place, param)
        last.truncate(len(last) - over)


def too_long(tokens: int, limit: int, place: int, param: str) -> Refusal:
    return Refusal(
        400,
        "context_length_exceeded",
        f"Number {place} has {tokens:,} tokens, and this model takes {limit:,}. Shorten it, or have it cut with"
        " 'truncate': true.",
        param=param,
    )


def _row(encoding: Any) -> Row:
    return Row(list(encoding.ids), list(encoding.type_ids))


def open_tokenizer(folder: Path) -> Any:
    """Raises WorkerFailed model_unusable."""
    try:
        if (folder / "tokenizer.json").is_file():
            from tokenizers import Tokenizer  # noqa: PLC0415

            return Tokenizer.from_file(str(folder / "tokenizer.json"))
        from transformers import AutoTokenizer  # noqa: PLC0415 - it takes seconds to import, and most need it not

        return AutoTokenizer.from_pretrained(str(folder)).backend_tokenizer
    except Exception as error:
        raise WorkerFailed("model_unusable", f"The tokenizer of {folder.name} cannot be loaded: {error}") from error
