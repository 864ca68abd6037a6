"""Is the cache as quick with a million blocks on disk as with a thousand? Ratios of interleaved pairs, in one run.

    python -m benchmarks.cache_index [--rows 1000000] [--rounds 40] [--json]

*Lookup*: find and read the 16 blocks of a 4k prompt, of 256 KiB each (a model of 0.5B parameters has 3 MiB).
*Eviction*: save one more block to a full cache. For both the aim is a ratio of at most 1.2. *Index alone* is the part
of each that the rows can make slower, in CPU time of the thread: a lookup goes from 3 to 5 us a key, since a thousand
rows are in the processor's cache and a million are not.
"""

import argparse
import hashlib
import itertools
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from inference.engine.cache.entry import Entry, Tensor
from inference.engine.cache.files import Place
from inference.engine.cache.store import Store

MODEL = "ab" * 32
FEW, REAL, PROMPT, WARM = 1000, 64, 16, 3
TENSOR_BYTES = 256 * 1024
ROW_BYTES = 1_000_000
numbers = itertools.count(10**9)
Measure = Callable[["Cache", random.Random], float]


def key_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


class Cache:
    """A store with so many rows, of which the newest have files. The others are there to be looked past."""

    def __init__(self, folder: Path, count: int) -> None:
        self.store = Store(folder)
        with self.store.index.changing():
            base = self.store.index._base
            base.execute("INSERT INTO models (id, fingerprint, name) VALUES (1, ?, 'demo')", (MODEL,))
            base.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", sorted(self._rows(count)))
        self.store.index.shrink()
        self.real = [self.save(10**18) for _ in range(REAL)]
        self.limit = self.store.index.total()[1]

    def _rows(self, count: int) -> Iterator[tuple[int, bytes, bytes, int, int, int]]:
        return ((1, key_of(n), key_of(n - 1), ROW_BYTES, 1, n) for n in range(count))

    def save(self, limit: int) -> bytes:
        key = key_of(next(numbers))
        tensors = {"0.k": Tensor("BF16", (TENSOR_BYTES // 2,), bytes(TENSOR_BYTES))}
        self.store.save(Entry(key, None, MODEL, "demo", bytes(1024), tensors), limit)
        return key


def lookup(cache: Cache, chance: random.Random) -> float:
    keys = chance.sample(cache.real, PROMPT)
    began = time.perf_counter()
    assert len(cache.store.index.have(keys, MODEL)) == PROMPT
    for key in keys:
        cache.store.load(Place(MODEL, key, complete=True))
    return time.perf_counter() - began


def eviction(cache: Cache, chance: random.Random) -> float:
    began = time.perf_counter()
    cache.save(cache.limit)
    return time.perf_counter() - began


def index_lookup(cache: Cache, chance: random.Random) -> float:
    keys = [*chance.sample(cache.real, PROMPT), *(key_of(-1 - chance.randrange(10**9)) for _ in range(PROMPT))]
    began = time.thread_time()
    cache.store.index.have(keys, MODEL)
    return time.thread_time() - began


def index_eviction(cache: Cache, chance: random.Random) -> float:
    place = Place(MODEL, key_of(next(numbers)), complete=True)
    began = time.thread_time()
    with cache.store.index.changing():
        cache.store.index.put(place, None, ROW_BYTES, "demo", 0.0)
        cache.store.trim(cache.limit)
    return time.thread_time() - began


def compare(few: Cache, many: Cache, measure: Measure, rounds: int) -> dict[str, float]:
    chance = random.Random(1)
    pairs = [(measure(few, chance), measure(many, chance)) for _ in range(rounds + WARM)][WARM:]
    return {
        "few_us": round(statistics.median(one for one, _ in pairs) * 1e6, 1),
        "many_us": round(statistics.median(two for _, two in pairs) * 1e6, 1),
        "ratio": round(statistics.median(two / one for one, two in pairs), 3),
    }


def measured(rows: int, rounds: int) -> dict[str, Any]:
    kinds = {
        "lookup": lookup,
        "eviction": eviction,
        "lookup, index alone": index_lookup,
        "eviction, index alone": index_eviction,
    }
    with tempfile.TemporaryDirectory() as folder:
        few, many = (Cache(Path(folder) / str(count), count) for count in (FEW, rows))
        size = (Path(folder) / str(rows) / "index.sqlite3").stat().st_size
        found = {name: compare(few, many, measure, rounds) for name, measure in kinds.items()}
    return {"rows": rows, "index_bytes": size, "load": os.getloadavg()[0], "found": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    said = measured(asked.rows, asked.rounds)
    if asked.json:
        print(json.dumps(said))
        return
    for name, one in said["found"].items():
        print(
            f"{name:22} {FEW:,} rows {one['few_us']:9,.1f} us, {asked.rows:,} rows {one['many_us']:9,.1f} us,"
            f" ratio {one['ratio']:.2f}"
        )
    print(f"The index takes {said['index_bytes'] / 1e6:.0f} MB. The machine's load was {said['load']:.1f}.")


if __name__ == "__main__":
    main()
