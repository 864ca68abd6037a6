"""The SSD tier as an engine sees it."""

import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inference.engine.cache.entry import Entry, Tensor
from inference.engine.cache.ssd import SsdTier
from inference.engine.cache.store import Store
from tests.helpers import wait_for
from tests.inference.cache.conftest import restarted, settled
from tests.inference.cache.support import KIB, MODEL, OTHER, block, bytes_of_files, chain, file_of, key_of

OpenTier = Callable[..., SsdTier]


def keys(entries: list[Entry]) -> list[bytes]:
    return [entry.key for entry in entries]


def test_what_was_written_is_read_by_the_next_process(tier: SsdTier, open_tier: OpenTier) -> None:
    entries = chain(8)
    assert all(tier.write(entry) for entry in entries)
    again = restarted(tier, open_tier)
    assert again.have([*keys(entries), key_of(99)], MODEL) == [True] * 8 + [None]
    assert [again.read(entry.key, MODEL) for entry in entries] == entries
    assert again.read(key_of(99), MODEL) is None
    figures = again.figures()
    assert (figures["hits"], figures["miss_absent"], figures["misses"], figures["entries"]) == (8, 1, 1, 8)


def test_another_model_does_not_find_it(tier: SsdTier) -> None:
    tier.write(block(1))
    settled(tier)
    assert tier.have([key_of(1)], OTHER) == [None]
    assert tier.read(key_of(1), OTHER) is None


def test_nobody_else_of_the_machine_can_read_it(tier: SsdTier, folder: Path) -> None:
    tier.write(block(1))
    settled(tier)
    paths = [folder, *folder.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o600}


def test_a_block_is_readable_while_it_waits_for_a_disk_that_is_held_up(tier: SsdTier, folder: Path) -> None:
    entry = block(1)
    with Store(folder) as other, other.index.changing():
        assert tier.write(entry)
        assert tier.have([entry.key], MODEL) == [True]
        assert tier.read(entry.key, MODEL) == entry
        assert tier.figures()["hits_queued"] == 1
        assert tier.figures()["persisted"] == 0
    assert settled(tier)["persisted"] == 1


def test_a_disk_that_is_behind_holds_a_writer_up_for_a_quarter_second_and_the_rest_is_counted(
    open_tier: OpenTier, folder: Path
) -> None:
    tier = open_tier(queue_bytes=100 * KIB)
    with Store(folder) as other, other.index.changing():
        assert [tier.write(block(n)) for n in range(4)] == [True] * 4
        began = time.monotonic()
        assert not tier.write(block(4))
        assert 0.2 <= (first := time.monotonic() - began) < 2
        assert not any(tier.write(block(n)) for n in range(5, 50))
        assert time.monotonic() - began < 2 * first, "a slow disk is paid for once"
        assert tier.figures()["queued_bytes"] <= 100 * KIB
        assert tier.have([key_of(4)], MODEL) == [None]
    figures = settled(tier)
    assert (figures["saved"], figures["persisted"], figures["dropped_queue_full"], figures["dropped"]) == (4, 4, 46, 46)


def test_an_incomplete_block_is_replaced_by_a_complete_one_and_never_the_other_way(tier: SsdTier, folder: Path) -> None:
    part, whole = block(1, complete=False), block(1)
    tier.write(part)
    settled(tier)
    assert tier.have([part.key], MODEL) == [False]
    assert tier.read(part.key, MODEL) == part
    tier.write(whole)
    settled(tier)
    tier.write(part)
    settled(tier)
    assert tier.have([whole.key], MODEL) == [True]
    assert tier.read(whole.key, MODEL) == whole
    assert len(list(folder.glob("blocks/*/*/*"))) == tier.figures()["entries"] == 1


def test_the_quota_holds_and_the_blocks_used_last_stay(open_tier: OpenTier, folder: Path) -> None:
    quota = 10 * 22 * KIB
    tier = open_tier(quota)
    old = [block(n) for n in range(8)]
    for entry in old:
        tier.write(entry)
    settled(tier)
    assert tier.read(old[0].key, MODEL)
    for n in range(100, 106):
        tier.write(block(n))
    figures = settled(tier)
    assert bytes_of_files(folder) == figures["bytes"] <= quota
    assert figures["evicted"] > 0
    assert tier.have(keys(old[:2]), MODEL) == [True, None]


def test_the_beginning_of_a_conversation_outlives_its_end(open_tier: OpenTier) -> None:
    tier = open_tier(12 * 22 * KIB)
    talk = chain(6)
    for entry in talk:
        tier.write(entry)
    settled(tier)
    tier.read(talk[-1].key, MODEL)  # the beginning is in memory: only the end is read from the disk
    for n in range(100, 109):
        tier.write(block(n))
    settled(tier)
    there = tier.have(keys(talk), MODEL)
    assert there[0] is True
    assert there[-1] is None
    assert there == sorted(there, key=lambda one: one is None)


def test_a_smaller_quota_takes_effect_at_once(tier: SsdTier, folder: Path) -> None:
    for entry in chain(200, size=4 * KIB):
        tier.write(entry)
    settled(tier)
    tier.set_quota(30 * KIB)
    wait_for(lambda: tier.figures()["bytes"] <= 30 * KIB, 5, "the cache is within its new quota")
    assert bytes_of_files(folder) <= 30 * KIB
    tier.write(block(999, size=40 * KIB))
    assert settled(tier)["dropped_too_large"] == 1
    tier.set_quota(0)
    wait_for(lambda: tier.figures()["entries"] == 0, 5, "the cache is empty")


def test_a_share_of_the_free_disk_bounds_the_cache(open_tier: OpenTier) -> None:
    tier = open_tier(10**18, share_of_free=1e-9)
    assert tier.figures()["limit_bytes"] < 10**6
    tier.write(block(1, size=1000 * KIB))
    assert settled(tier)["dropped_too_large"] == 1


def test_a_model_is_cleared_alone_and_then_everything(tier: SsdTier, folder: Path) -> None:
    tier.write(block(1))
    tier.write(block(2, model=OTHER))
    settled(tier)
    size = file_of(folder, block(1)).stat().st_size
    assert tier.clear(MODEL) == size
    assert tier.have([key_of(1)], MODEL) == [None]
    assert tier.have([key_of(2)], OTHER) == [True]
    assert tier.clear() == size
    assert tier.have([key_of(2)], OTHER) == [None]
    assert list(folder.glob("blocks/*")) == []
    tier.write(block(1))
    settled(tier)
    assert tier.read(key_of(1), MODEL) == block(1)


def test_what_waits_for_the_disk_and_what_is_being_written_is_cleared_too(tier: SsdTier, folder: Path) -> None:
    clearing = threading.Thread(target=tier.clear, args=(MODEL,))
    with Store(folder) as other, other.index.changing():
        for n in range(5):
            tier.write(block(n))
        wait_for(lambda: list(folder.glob("scratch/*/*[0-9a-f]")), 5, "one is being written")
        clearing.start()
        wait_for(lambda: tier.figures()["queued"] == 1, 5, "the others were forgotten")
    clearing.join()
    settled(tier)
    assert tier.figures()["entries"] == 0
    assert list(folder.glob("blocks/*/*/*")) == []


@pytest.mark.parametrize("model", ["../../etc", "", "AB", "*"])
def test_what_cannot_be_a_model_is_not_cleared(tier: SsdTier, model: str) -> None:
    with pytest.raises(ValueError, match="fingerprint"):
        tier.clear(model)


@pytest.mark.parametrize("jump", [-10 * 365 * 86400.0, 10 * 365 * 86400.0, float("-1e9")])
def test_a_clock_that_jumps_changes_nothing(open_tier: OpenTier, jump: float) -> None:
    now = [time.time()]
    tier = open_tier(6 * 22 * KIB, clock=lambda: now[0])
    first = [block(n) for n in range(5)]
    for entry in first:
        tier.write(entry)
    settled(tier)
    now[0] += jump
    for entry in first[:2]:
        assert tier.read(entry.key, MODEL) == entry
    for n in range(100, 103):
        tier.write(block(n))
    settled(tier)
    assert tier.have(keys(first[:3]), MODEL) == [True, True, None]
    assert tier.have([key_of(102)], MODEL) == [True]


def test_an_entry_that_could_not_be_read_again_is_not_taken(tier: SsdTier) -> None:
    wrong = block(1)
    wrong.tensors["0.keys"] = Tensor("F32", (3,), b"not three floats")
    with pytest.raises(ValueError, match=r"0\.keys"):
        tier.write(wrong)
    assert tier.write(block(2))


def test_a_closed_tier_takes_nothing_and_says_so(tier: SsdTier, open_tier: OpenTier) -> None:
    tier.close(5)
    assert not tier.write(block(1))
    assert tier.figures()["dropped_closed"] == 1


def test_a_burst_of_uses_is_noted_in_few_writes(tier: SsdTier, folder: Path) -> None:
    for entry in chain(20):
        tier.write(entry)
    settled(tier)
    with Store(folder) as other:
        before = other.index._base.execute("PRAGMA data_version").fetchone()[0]
        for _ in range(20):
            for n in range(20):
                tier.read(key_of(n), MODEL)
        assert other.index._base.execute("PRAGMA data_version").fetchone()[0] - before <= 3
