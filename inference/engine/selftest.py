"""Before an engine says it is ready: does the model compute, how fast, and what does its cache really take?"""

import time
from dataclasses import dataclass, replace

import mlx.core as mx
from mlx_lm.models.cache import ArraysCache, KVCache, RotatingKVCache

from inference.engine.dimensions import Dimensions
from inference.engine.models import Loaded
from memory.protocol import WorkerFailed

PROMPT_TOKENS = 64


@dataclass(frozen=True, slots=True)
class SelfTest:
    """`dimensions` as the config says, corrected by the cache; `rate` is seconds per prefilled token."""

    token: int
    seconds: float
    rate: float
    dimensions: Dimensions


def self_test(loaded: Loaded) -> SelfTest:
    """Generate one token. Raises WorkerFailed self_test_failed when it is not a number."""
    began = time.monotonic()
    vocab = loaded.dimensions.vocab or loaded.vocabulary.size
    prompt = [(7 * at + 1) % min(vocab, loaded.vocabulary.size) for at in range(PROMPT_TOKENS)]
    cache = loaded.new_cache()
    for _ in range(2):  # the first forward also compiles
        cache, filling = loaded.new_cache(), time.monotonic()
        loaded.model(mx.array([prompt]), cache=cache)
        mx.eval([layer.state for layer in cache])
        rate = (time.monotonic() - filling) / PROMPT_TOKENS
    logits = loaded.model(mx.array([[prompt[0]]]), cache=cache)[0, -1]
    if not mx.all(mx.isfinite(logits)).item():
        raise WorkerFailed("self_test_failed", "The model's first token is not a number; its weights are damaged.")
    token = int(mx.argmax(logits).item())
    _warm_up(loaded)
    corrected = _corrected(loaded.dimensions, cache, logits.shape[-1])
    return SelfTest(token, time.monotonic() - began, rate, corrected)


def _warm_up(loaded: Loaded) -> None:
    """Decode as one row and as a batch, whose kernels are compiled at their first use."""
    for rows in (1, 2):
        cache = loaded.new_cache()
        if rows > 1:
            cache = [layer.merge([layer] * rows) for layer in cache]
        for _ in range(2):
            logits = loaded.model(mx.array([[1]] * rows), cache=cache)[:, -1]
            mx.eval(mx.argmax(logits, axis=-1), [layer.state for layer in cache])


def _corrected(known: Dimensions, cache: list[object], vocab: int) -> Dimensions:
    """The cache is what is; the configuration is what was said."""
    flat = [one for layer in cache for one in getattr(layer, "caches", [layer])]
    kept = [one for one in flat if isinstance(one, KVCache)]
    windows = [one for one in flat if isinstance(one, RotatingKVCache)]
    states = [one for one in flat if isinstance(one, ArraysCache)]
    values = [_values(one) for one in (*kept, *windows)]
    sizes = [sum(array.size for array in one.state[0] if array is not None) for one in states]
    return replace(
        known,
        vocab=vocab,
        kv_values=max(values, default=known.kv_values),
        full_layers=len(kept) + (len(flat) - len(kept) - len(windows) - len(states)),
        window_layers=len(windows),
        window=max((one.max_size for one in windows), default=0),
        recurrent_layers=len(states),
        state_values=max(sizes, default=known.state_values),
        linear=known.linear if states else 0,
        scored=any(not isinstance(one, ArraysCache) for one in flat[:-1]),
    )


def _values(cache: KVCache | RotatingKVCache) -> int:
    return sum(array.shape[1] * array.shape[3] for array in (cache.keys, cache.values) if array is not None)
