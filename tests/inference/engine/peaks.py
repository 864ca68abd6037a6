"""Run in the runtime: bounds beside measured peaks, for chunks and joins of many shapes. Prints JSON rows."""

import json
import random
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx_lm.generate import BatchGenerator

from inference.engine.models import Loaded, open_model
from inference.engine.selftest import self_test

CHUNKS = (32, 64, 100, 256, 512)
CONTEXTS = (0, 200, 1024, 1500, 2560, 4000)


def filled(loaded: Loaded, length: int) -> list[Any]:
    cache = loaded.new_cache()
    for start in range(0, length, 512):
        loaded.model(mx.array([[5] * min(512, length - start)]), cache=cache)
        mx.eval([layer.state for layer in cache])
    return cache


def measured(before: int) -> int:
    return int(mx.get_peak_memory()) - before


def chunk(loaded: Loaded, tokens: int, context: int) -> tuple[int, int]:
    cache = filled(loaded, context)
    before = int(mx.get_active_memory())
    mx.reset_peak_memory()
    loaded.model(mx.array([[7] * tokens]), cache=cache)
    mx.eval([layer.state for layer in cache])
    return loaded.bounds.forward(1, tokens, context), measured(before)


def join(loaded: Loaded, size: int, length: int, joining: int) -> tuple[int, int]:
    generator = BatchGenerator(loaded.model)
    generator.insert([[5]] * size, max_tokens=[1000] * size, caches=[filled(loaded, length)] * size)
    for _ in range(3):
        generator.next()
    mx.synchronize()
    cache = filled(loaded, joining)
    before = int(mx.get_active_memory())
    mx.reset_peak_memory()
    generator.insert([[5]], max_tokens=[1000], caches=[cache])
    del cache
    generator.next()
    generator.next()  # only now are they one batch
    mx.synchronize()
    bound = loaded.bounds.join(size + 1, max(length + 4, joining + 1), 1, joining + 1)
    return bound, measured(before)


def main() -> None:
    loaded = open_model(Path(sys.argv[1]), 1 << 32, lambda step, total: None)
    loaded.dimensions = self_test(loaded).dimensions
    mx.set_cache_limit(0)
    rows = [("chunk", context, *chunk(loaded, tokens, context)) for tokens in CHUNKS for context in CONTEXTS]
    chosen = random.Random(1)
    for _ in range(10):
        size, length, joining = chosen.randint(1, 8), chosen.choice(CONTEXTS[1:]), chosen.choice(CONTEXTS[1:])
        rows.append(("join", max(length, joining), *join(loaded, size, length, joining)))
    sys.stdout.write(json.dumps(rows))


main()
