"""One of several processes on one cache: `neighbour.py FOLDER SEED SECONDS`. Prints its figures as JSON."""

import json
import random
import sys
import time
from pathlib import Path

from inference.engine.cache.ssd import SsdTier
from tests.inference.cache.support import KIB, MODEL, OTHER, block

QUOTA = 40 * 22 * KIB


def main(folder: Path, seed: int, seconds: float) -> None:
    chance, until = random.Random(seed), time.monotonic() + seconds
    tier = SsdTier(folder, QUOTA, share_of_free=1.0)
    wrong = 0
    while time.monotonic() < until:
        number, model = chance.randrange(80), chance.choice([MODEL, OTHER])
        wanted = block(number, parent=number - 1, model=model, complete=chance.random() < 0.7)
        if found := tier.read(wanted.key, model):
            wrong += found.tensors != block(number, model=model, complete=found.complete).tensors
        if not found or wanted.complete > found.complete:
            tier.write(wanted)
        if chance.random() < 0.002:
            tier.clear(model)
    tier.close(30)
    sys.stdout.write(json.dumps({"wrong": wrong, **tier._counts.read()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
