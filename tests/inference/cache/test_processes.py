"""Several processes on one cache, and processes that die."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inference.engine.cache.ssd import SsdTier
from tests.early import ROOT
from tests.helpers import wait_for
from tests.inference.cache import neighbour, victims
from tests.inference.cache.support import bytes_of_files, on_disk

KILLS = 200


def script(module: object, *arguments: object) -> list[str]:
    return [sys.executable, "-m", module.__name__, *map(str, arguments)]  # type: ignore[attr-defined]


@pytest.mark.timeout(300)
def test_a_process_killed_at_any_moment_leaves_a_cache_that_is_whole(
    folder: Path, open_tier: Callable[..., SsdTier]
) -> None:
    done = subprocess.run(
        script(victims, folder, KILLS), cwd=ROOT, capture_output=True, text=True, timeout=290, check=True
    )
    assert done.stdout == ""
    tier = open_tier(victims.QUOTA)
    wait_for(lambda: len(set(map(frozenset, on_disk(folder)))) == 1, 20, "files are rows")
    files, rows = on_disk(folder)
    assert len(files) > 20
    assert tier.figures()["bytes"] == bytes_of_files(folder)
    assert all(tier.read(place.key, place.model) for place in rows)
    assert tier.figures()["quarantined"] == 0
    wait_for(lambda: list((folder / "scratch").iterdir()) == [], 10, "what the dead were writing is gone")


def test_two_processes_share_a_cache(folder: Path, open_tier: Callable[..., SsdTier]) -> None:
    running = [
        subprocess.Popen(script(neighbour, folder, seed, 4), cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for seed in range(2)
    ]
    answers = [process.communicate(timeout=100)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    said = [json.loads(answer) for answer in answers]
    for figures in said:
        assert figures["persisted"] > 0
        assert figures["hits"] > 0
        for never in ("wrong", "miss_corrupt", "miss_unreadable", "quarantined", "index_errors", "write_errors"):
            assert figures[never] == 0, never
    tier = open_tier(neighbour.QUOTA)  # a process that is closed while it evicts leaves a file to the next one
    wait_for(lambda: len(set(map(frozenset, on_disk(folder)))) == 1, 20, "files are rows")
    assert bytes_of_files(folder) == tier.figures()["bytes"] <= neighbour.QUOTA
