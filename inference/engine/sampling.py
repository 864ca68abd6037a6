"""Samplers and logits processors for rows of a batch.

A sampler takes logits [B, V] and gives tokens [B]. It is called once for all the rows that hold it, so samplers without
a seed are shared by their settings. Settings are plain operands here, never constants of a compiled function: clients
choose them, and each would be compiled anew.
"""

import functools
import sys
import traceback
from collections.abc import Callable, Mapping

import mlx.core as mx

from inference.engine.parameters import SEED_MASK, Parameters
from inference.engine.requests import Sequence

Sampler = Callable[[mx.array], mx.array]
Processor = Callable[[mx.array, mx.array], mx.array]
INTERNED = 256
MIX = 0x9E3779B97F4A7C15  # odd, 2^64 / golden ratio (Steele et al., "Fast splittable PRNGs", 2014)


def draw(samplers: list[Sampler], logits: mx.array) -> mx.array:
    """A token for each row of logits [B, V], by its own sampler."""
    rows: dict[Sampler, list[int]] = {}
    for row, sampler in enumerate(samplers):
        rows.setdefault(sampler, []).append(row)
    if len(rows) == 1:
        return samplers[0](logits)
    drawn = mx.concatenate([sampler(logits[mx.array(theirs)]) for sampler, theirs in rows.items()])
    order = [row for theirs in rows.values() for row in theirs]
    return drawn[mx.array(sorted(range(len(order)), key=order.__getitem__))]


def greedy(logits: mx.array) -> mx.array:
    return mx.argmax(logits, axis=-1)


def sampler_for(sequence: Sequence) -> Sampler:
    chosen = sequence.request.parameters
    if chosen.temperature == 0:
        return greedy
    shape = shaped(chosen.temperature, chosen.top_k, chosen.top_p, chosen.min_p)
    if chosen.seed is None:
        return shape
    return Seeded(chosen.seed + sequence.index, sequence.generated, shape.filtered)


class Shaped:
    """Temperature, then top-k, then top-p, then min-p, then a draw from what is left."""

    def __init__(self, temperature: float, top_k: int, top_p: float, min_p: float) -> None:
        self._heat, self._top_k, self._top_p, self._min_p = 1 / max(temperature, 1e-4), top_k, top_p, min_p

    def __call__(self, logits: mx.array) -> mx.array:
        return mx.random.categorical(self.filtered(logits))

    def filtered(self, logits: mx.array) -> mx.array:
        logits = logits.astype(mx.float32) * self._heat
        if 0 < self._top_k < logits.shape[-1]:
            logits = _keep_above(logits, mx.min(mx.topk(logits, self._top_k, axis=-1), axis=-1, keepdims=True))
        if self._top_p < 1:
            logits = _keep_above(logits, _nucleus(logits, self._top_p))
        if self._min_p > 0:
            logits = _keep_above(logits, mx.max(logits, axis=-1, keepdims=True) + mx.log(mx.array(self._min_p)))
        return logits


@functools.lru_cache(maxsize=INTERNED)
def shaped(temperature: float, top_k: int, top_p: float, min_p: float) -> Shaped:
    return Shaped(temperature, top_k, top_p, min_p)


class Seeded:
    """The same draws for the same seed, whatever else is in the batch: each has a key of its own, from the seed and
    the number of the token, so that a sequence that was interrupted goes on as it would have."""

    def __init__(self, seed: int, drawn: int, filtered: Sampler) -> None:
        self._seed, self._drawn, self._filtered = seed, drawn, filtered

    def __call__(self, logits: mx.array) -> mx.array:
        key = mx.random.key(((self._seed * MIX) ^ self._drawn) & SEED_MASK)
        self._drawn += 1
        return mx.random.categorical(self._filtered(logits), key=key)


def _keep_above(logits: mx.array, threshold: mx.array) -> mx.array:
    return mx.where(logits < threshold, -mx.inf, logits)


def _nucleus(logits: mx.array, top_p: float) -> mx.array:
    """The logit of the last token that the mass of `top_p` needs; at least the best one."""
    ordered = mx.sort(logits, axis=-1)
    mass = mx.cumsum(mx.softmax(ordered, axis=-1), axis=-1, reverse=True, inclusive=False)
    dropped = mx.minimum((mass >= top_p).sum(axis=-1, keepdims=True), logits.shape[-1] - 1)
    return mx.take_along_axis(ordered, dropped, axis=-1)


def processors_for(sequence: Sequence) -> list[Processor]:
    chosen = sequence.request.parameters
    prompt = len(sequence.request.prompt)
    found: list[Processor] = []
    if chosen.repetition_penalty != 1:
        found.append(functools.partial(_penalise_repetition, chosen.repetition_penalty))
    if chosen.presence_penalty or chosen.frequency_penalty:
        found.append(functools.partial(_penalise_use, prompt, chosen.presence_penalty, chosen.frequency_penalty))
    if chosen.logit_bias:
        found.append(functools.partial(_bias, *_bias_arrays(chosen)))
    return [Guarded(sequence, processor) for processor in found]


class Guarded:
    """A processor whose failure is its own request's: inside the batch an exception would end every row."""

    def __init__(self, sequence: Sequence, processor: Processor) -> None:
        self._sequence, self._processor = sequence, processor

    def __call__(self, tokens: mx.array, logits: mx.array) -> mx.array:
        if self._sequence.fault:
            return logits
        try:
            return self._processor(tokens, logits)
        except Exception as error:  # noqa: BLE001 - the outermost frame of one request inside a batch of many
            traceback.print_exc(file=sys.stderr)
            self._sequence.fault = f"{type(error).__name__}: {error}"
            return logits


def _penalise_repetition(penalty: float, tokens: mx.array, logits: mx.array) -> mx.array:
    """Keskar et al., "CTRL", 2019, over the prompt and what was generated."""
    seen = mx.zeros(logits.shape[-1:], dtype=mx.bool_)
    seen[tokens] = True
    return mx.where(seen, mx.where(logits < 0, logits * penalty, logits / penalty), logits)


def _penalise_use(prompt: int, presence: float, frequency: float, tokens: mx.array, logits: mx.array) -> mx.array:
    """OpenAI's two penalties, over what was generated."""
    used = tokens[prompt:]
    if used.size == 0:
        return logits
    counts = mx.zeros(logits.shape[-1:], dtype=mx.float32).at[used].add(mx.ones(used.shape, dtype=mx.float32))
    return logits - (presence * (counts > 0) + frequency * counts).astype(logits.dtype)


def _bias(ids: mx.array, values: mx.array, tokens: mx.array, logits: mx.array) -> mx.array:
    return logits.at[:, ids].add(values.astype(logits.dtype))


def _bias_arrays(chosen: Parameters) -> tuple[mx.array, mx.array]:
    biases: Mapping[int, float] = chosen.logit_bias
    return mx.array(list(biases), dtype=mx.uint32), mx.array(list(biases.values()), dtype=mx.float32)


def top_logprobs(logprobs: mx.array, count: int) -> list[tuple[int, float]]:
    """The best `count` tokens of one row [V], best first."""
    if count == 0:
        return []
    best = mx.argpartition(-logprobs, kth=count - 1)[:count]
    best = best[mx.argsort(-logprobs[best])]
    return list(zip(best.tolist(), logprobs[best].astype(mx.float32).tolist(), strict=True))
