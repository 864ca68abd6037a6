"""Run in the worker environment: random loads of one model, the gate's bound and the measured peak of each, as JSON.

`python benchmarks/gate_loads.py MODEL LOADS SEED`
"""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx

from inference.engine.batch import Batch, held_by
from inference.engine.bunch import Bunch
from inference.engine.detokenise import WindowDetokeniser
from inference.engine.models import Loaded, open_model
from inference.engine.parameters import Parameters
from inference.engine.prefill import Prefill
from inference.engine.requests import Request, Sequence
from inference.engine.selftest import self_test
from inference.engine.speech.marks import Marks
from inference.engine.speech.speech import Speech
from inference.engine.stopping import StopMatcher

REPEATS = 3
CHUNKS = (32, 64, 128, 200, 256, 512)
CONTEXTS = (300, 700, *range(1024, 6000, 97))
Row = tuple[str, int, int, int, str]  # kind, tokens of context, bound, peak, what exactly


def sequence(length: int) -> Sequence:
    asked = Request("x", "completion", [5] * length, Parameters(temperature=0.0), 10**6, 0.0)
    text = WindowDetokeniser(lambda _tokens: "")
    asked.sequences.append(Sequence(asked, 0, list(asked.prompt), text, Speech(Marks()), StopMatcher(())))
    return asked.sequences[0]


def peak(work: Callable[[], object]) -> int:
    mx.synchronize()
    before = mx.get_active_memory()
    mx.reset_peak_memory()
    work()
    mx.synchronize()
    return int(mx.get_peak_memory() - before)


def follow(running: Batch) -> None:
    for step in list(running.step()):
        step.sequence.tokens.append(step.token)


class Loads:
    def __init__(self, loaded: Loaded, seed: int) -> None:
        self._loaded, self._bounds, self._seed = loaded, loaded.bounds, seed
        self._chosen = random.Random()
        self._sample = loaded.new_cache()
        loaded.model(mx.array([[5, 6]]), cache=self._sample)

    def measure(self, at: int) -> Row:
        """The load of a number, run several times; the most it took."""
        kinds = (self.chunk, self.chunk, self.together, self.join, self.step, self.step)
        tries = []
        for _ in range(REPEATS):
            self._chosen.seed(self._seed * 1_000_003 + at)
            tries.append(kinds[at % len(kinds)](self._chosen.choice(CONTEXTS)))
        return max(tries, key=lambda row: row[3])

    def chunk(self, context: int) -> Row:
        tokens, one = self._chosen.choice(CHUNKS), Prefill(sequence(1).request, [sequence(1)])
        one.tokens, one.cache, one.done = [7] * (context + tokens + 1), self._filled(context, tokens), context
        taken = peak(lambda: one.advance(self._loaded, tokens))
        return ("chunk", context, self._bounds.forward(1, tokens, context), taken, f"{tokens} after {context}")

    def together(self, context: int) -> Row:
        rows = [sequence(self._chosen.randint(180, 256)) for _ in range(max(2, context // 250))]
        many = Bunch([Prefill(row.request, [row]) for row in rows])
        bound = self._bounds.bunch(len(rows), many.longest)
        taken = peak(lambda: many.fill(self._loaded))
        return ("together", sum(row.length for row in rows), bound, taken, f"{len(rows)} of up to {many.longest}")

    def join(self, context: int) -> Row:
        running, joining = self._decoding(context), self._chosen.randint(1, 3)
        length = self._chosen.randint(2, context)
        held, newcomers, cache = running.held, [sequence(length) for _ in range(joining)], [self._filled(length - 1)]
        bound = self._bounds.join(held, held_by(cache[0], 1, length - 1, dense=False), joining)
        taken = peak(lambda: running.join(newcomers, cache.pop(), dense=False))
        return ("join", context, bound, taken, f"{joining} of {length} to {held.rows} of {held.length}")

    def step(self, context: int) -> Row:
        running = self._decoding(context, steps=self._chosen.choice((0, 3)))
        held = running.held
        taken = peak(lambda: follow(running))
        return (
            "grow" if held.full else "step",
            context,
            self._bounds.step(held),
            taken,
            f"{held.rows} of {held.length}",
        )

    def _decoding(self, length: int, steps: int = 3) -> Batch:
        running = Batch(self._loaded.model)
        rows = [sequence(length) for _ in range(self._chosen.randint(1, 8))]
        running.join(rows, self._filled(length - 1), dense=False)
        for _ in range(steps):
            follow(running)
        return running

    def _filled(self, length: int, chunk: int = 512) -> list[Any]:
        """A cache of so many tokens, in chunks as the engine makes it, but without the forwards."""
        cache = self._loaded.new_cache()
        for layer, of in zip(cache, self._sample, strict=True):
            if not hasattr(of, "keys"):
                layer.state = of.state
                continue
            for start in range(0, length, chunk):
                shape = (1, of.keys.shape[1], min(chunk, length - start), of.keys.shape[3])
                layer.update_and_fetch(mx.zeros(shape), mx.zeros(shape))
                mx.eval(layer.state)
        mx.eval([layer.state for layer in cache])
        return cache


def main() -> None:
    model, loads, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    loaded = open_model(model, 1 << 34, lambda _done, _total: None)
    loaded.dimensions = self_test(loaded).dimensions
    mx.set_cache_limit(0)
    measured = Loads(loaded, seed)
    sys.stdout.write(json.dumps([measured.measure(at) for at in range(loads)]))


if __name__ == "__main__":
    main()
