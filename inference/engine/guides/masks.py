"""Masks the logits of the rows that are guided, all in one: filled on the CPU while the forward computes."""

import sys
import traceback
from collections.abc import Sequence as Rows

import llguidance.numpy
import mlx.core as mx
import numpy as np
from llguidance import LLExecutor
from numpy.typing import NDArray

from inference.engine.guides.guide import ALL, Guide
from inference.engine.messages import Refusal
from inference.engine.requests import Sequence

_executors: list[LLExecutor] = []


def masked(logits: mx.array, guided: Rows[tuple[int, Sequence, Guide]]) -> mx.array:
    """Logits [B, V] with minus infinity where a guide forbids a token. `guided` are rows, by their places."""
    held = [one for one in guided if not one[2].loose and not one[1].fault]
    if not held:
        return logits
    rows, vocab = logits.shape
    words = np.full((rows, (held[0][2].width + 31) // 32), ALL, dtype=np.int32)
    _fill([(guide.matcher, at) for at, _, guide in held if guide.matcher], words)
    for at, sequence, guide in held:
        try:
            guide.adjust(words[at])
        except ValueError as problem:
            message = f"The answer could not go on in the form that was asked for: {problem}."
            sequence.fault = Refusal(400, "structure_not_possible", message)
            words[at] = ALL
    bits = (mx.array(words.view(np.uint32))[:, :, None] >> mx.arange(32, dtype=mx.uint32)) & 1
    allowed = bits.reshape(rows, -1)[:, :vocab].astype(mx.bool_)
    return mx.where(allowed, logits, -mx.inf)


def _fill(matchers: list[tuple[object, int]], words: NDArray[np.int32]) -> None:
    if len(matchers) == 1:
        llguidance.numpy.fill_next_token_bitmask(matchers[0][0], words, matchers[0][1])
    elif matchers:
        if not _executors:
            _executors.append(LLExecutor())
        llguidance.numpy.fill_next_token_bitmask_par(_executors[0], matchers, words)


def told(sequence: Sequence, guide: Guide, token: int) -> None:
    """A token was fed. What goes wrong with it is this request's own fault."""
    try:
        guide.take(token)
    except Exception as error:  # noqa: BLE001 - the outermost frame of one request inside a batch of many
        traceback.print_exc(file=sys.stderr)
        sequence.fault = f"{type(error).__name__}: {error}"
