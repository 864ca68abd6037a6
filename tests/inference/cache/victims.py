"""Writes to a cache in children that are killed, again and again: `victims.py FOLDER TIMES`.

Children are forked from here, where everything is imported already and no thread runs yet. Prints what is wrong.
"""

import os
import random
import select
import signal
import sys
from pathlib import Path

from inference.engine.cache.safetensors import Corrupt
from inference.engine.cache.ssd import SsdTier
from inference.engine.cache.store import Store
from tests.inference.cache.support import KIB, block, on_disk

QUOTA = 60 * 22 * KIB
LOOK_EVERY = 20


def write_forever(folder: Path, seed: int, ready: int) -> None:
    chance = random.Random(seed)
    tier = SsdTier(folder, QUOTA, share_of_free=1.0)
    told = seed % 2 > 0
    os.write(ready, b".") if told else None
    while True:
        if not told and tier.figures()["persisted"]:  # half of them die while they open, half in the middle of a save
            told = bool(os.write(ready, b"."))
        number = chance.randrange(200)
        tier.write(block(number, parent=number - 1, complete=chance.random() < 0.7))
        tier.read(block(number).key, block(number).model)


def kill_one(folder: Path, seed: int) -> None:
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        write_forever(folder, seed, theirs)
    os.close(theirs)
    select.select([ours], [], [], 20)
    select.select([], [], [], random.Random(seed).uniform(0, 0.06))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(ours)


def wrong(folder: Path) -> list[str]:
    """Files that are not what their name says. A row without a file, or the other way, is mended when it is met."""
    found = []
    with Store(folder) as store:
        for place in on_disk(folder)[0]:
            try:
                store.load(place)
            except Corrupt as problem:
                found.append(f"{place}: {problem}")
    return found


def main(folder: Path, times: int) -> None:
    for number in range(times):
        kill_one(folder, number)
        if number % LOOK_EVERY == 0 or number == times - 1:
            for problem in wrong(folder):
                sys.stdout.write(f"after {number + 1} kills, {problem}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
