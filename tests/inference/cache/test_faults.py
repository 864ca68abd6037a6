"""Disks that fill up, files that rot, an index that is lost."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inference.engine.cache.database import NAME
from inference.engine.cache.quarantine import MOST_FILES
from inference.engine.cache.ssd import SsdTier
from inference.engine.cache.store import Store
from tests.helpers import wait_for
from tests.inference.cache.conftest import restarted, settled
from tests.inference.cache.support import KIB, MIB, MODEL, block, bytes_of_files, file_of, key_of, on_disk

OpenTier = Callable[..., SsdTier]
DISK = 3 * MIB


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "disk"
    where.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(where)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"A small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield where
    subprocess.run(["umount", "--lazy", str(where)], check=True)


def fill(path: Path) -> None:
    """Take every byte that is free."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4 * KIB))


def test_a_full_disk_is_shared_by_what_was_used_last(open_tier: OpenTier, small_disk: Path) -> None:
    tier = open_tier(100 * MIB, small_disk / "cache", share_of_free=100.0)
    for n in range(300):
        tier.write(block(n))
        if n % 20 == 0:
            settled(tier)
    figures = settled(tier)
    assert figures["disk_full"] > 0
    assert figures["evicted"] > 100
    assert figures["entries"] > 40
    assert tier.have([key_of(0)], MODEL) == [None]
    tier.write(block(999))
    settled(tier)
    assert tier.read(key_of(999), MODEL) == block(999)
    files, rows = on_disk(small_disk / "cache")
    assert files == rows


def test_a_disk_that_others_filled_stops_writing_until_there_is_room(open_tier: OpenTier, small_disk: Path) -> None:
    tier = open_tier(100 * MIB, small_disk / "cache", share_of_free=100.0)
    tier.write(block(1))
    settled(tier)
    fill(small_disk / "others")
    for n in range(2, 20):
        tier.write(block(n, size=200 * KIB))
    wait_for(lambda: tier.figures()["paused"], 10, "writing stopped")
    began = time.monotonic()
    assert not any(tier.write(block(n, size=200 * KIB)) for n in range(20, 40))
    assert time.monotonic() - began < 1, "the engine is not held up by a disk that is full"
    figures = settled(tier)
    assert figures["dropped_disk_full"] >= 20
    assert figures["write_errors"] >= 1
    (small_disk / "others").unlink()
    wait_for(lambda: tier.write(block(50)) and settled(tier)["persisted"] > 1, 10, "writing went on by itself")
    assert tier.read(key_of(50), MODEL) == block(50)


def test_a_cache_that_could_not_be_opened_is_opened_later(open_tier: OpenTier, small_disk: Path) -> None:
    fill(small_disk / "others")
    tier = open_tier(100 * MIB, small_disk / "cache")
    assert tier.have([key_of(1)], MODEL) == [None]
    assert tier.read(key_of(1), MODEL) is None
    tier.write(block(1))
    (small_disk / "others").unlink()
    wait_for(lambda: tier.write(block(2)) and tier.read(key_of(2), MODEL) and settled(tier)["persisted"], 15, "opened")


def _truncate(path: Path, at: int) -> None:
    os.truncate(path, at)


def _flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _extend(path: Path, by: int) -> None:
    path.write_bytes(path.read_bytes() + bytes(by))


@pytest.mark.parametrize(
    ("spoil", "at"),
    [
        (_truncate, 0),
        (_truncate, 7),
        (_truncate, 100),
        (_truncate, 5000),
        (_flip, 0),
        (_flip, 6),
        (_flip, 12),
        (_flip, 40),
        (_flip, 500),
        (_flip, -1),
        (lambda path, at: path.write_bytes(bytes(at)), 20_000),
        (lambda path, at: path.write_bytes(os.urandom(at)), 20_000),
        (_extend, 1),
    ],
)
def test_a_file_that_rotted_is_a_miss_and_set_aside_and_written_again(
    tier: SsdTier, folder: Path, spoil: Callable[[Path, int], object], at: int
) -> None:
    entry = block(1)
    tier.write(entry)
    settled(tier)
    spoil(file_of(folder, entry), at)
    assert tier.read(entry.key, MODEL) is None
    assert tier.have([entry.key], MODEL) == [None]
    wait_for(lambda: tier.figures()["quarantined"] == 1, 5, "it was set aside")
    assert tier.figures()["miss_corrupt"] == 1
    assert len(list((folder / "quarantine").iterdir())) == 1
    assert tier.write(entry)
    settled(tier)
    assert tier.read(entry.key, MODEL) == entry


def test_a_file_in_the_place_of_another_is_not_believed(tier: SsdTier, folder: Path) -> None:
    for n in range(2):
        tier.write(block(n))
    settled(tier)
    file_of(folder, block(1)).write_bytes(file_of(folder, block(0)).read_bytes())
    assert tier.read(key_of(1), MODEL) is None
    assert tier.figures()["miss_corrupt"] == 1


def test_no_more_than_some_spoiled_files_are_kept(tier: SsdTier, folder: Path) -> None:
    for n in range(MOST_FILES + 5):
        tier.write(block(n))
    settled(tier)
    for n in range(MOST_FILES + 5):
        _flip(file_of(folder, block(n)), -1)
        tier.read(key_of(n), MODEL)
    wait_for(lambda: tier.figures()["quarantined"] == MOST_FILES + 5, 10, "all were set aside")
    assert len(list((folder / "quarantine").iterdir())) == MOST_FILES


def test_a_file_that_somebody_removed_is_a_miss_and_its_row_goes(tier: SsdTier, folder: Path) -> None:
    tier.write(block(1))
    settled(tier)
    file_of(folder, block(1)).unlink()
    assert tier.read(key_of(1), MODEL) is None
    assert tier.figures()["miss_gone"] == 1
    wait_for(lambda: tier.figures()["forgotten"] == 1 and tier.figures()["entries"] == 0, 5, "its row is gone")
    tier.write(block(1))
    settled(tier)
    assert tier.read(key_of(1), MODEL) == block(1)


def test_a_lost_index_is_made_again_from_the_files(tier: SsdTier, open_tier: OpenTier, folder: Path) -> None:
    for n in range(30):
        tier.write(block(n, complete=n % 3 > 0))
    tier.close(30)
    for path in folder.glob(f"{NAME}*"):
        path.unlink()
    again = open_tier()
    wait_for(lambda: again.figures()["adopted"] == 30, 10, "all files were adopted")
    assert again.have([key_of(n) for n in range(30)], MODEL) == [n % 3 > 0 for n in range(30)]
    assert again.figures()["bytes"] == bytes_of_files(folder)


@pytest.mark.parametrize("begin", [0, 100])
def test_a_damaged_index_is_made_again_from_the_files(
    tier: SsdTier, open_tier: OpenTier, folder: Path, begin: int
) -> None:
    for n in range(10):
        tier.write(block(n))
    tier.close(30)
    data = bytearray((folder / NAME).read_bytes())
    data[begin : begin + 200] = os.urandom(200)
    (folder / NAME).write_bytes(data)
    damaged = open_tier()
    damaged.write(block(99))
    damaged.read(key_of(3), MODEL)
    settled(damaged)
    again = restarted(damaged, open_tier)
    wait_for(lambda: again.figures()["entries"] >= 10, 10, "the index knows the files again")
    assert [again.read(key_of(n), MODEL) for n in range(10)] == [block(n) for n in range(10)]


def test_files_that_are_no_blocks_are_removed_at_the_start(tier: SsdTier, open_tier: OpenTier, folder: Path) -> None:
    tier.write(block(1))
    tier.close(30)
    there = file_of(folder, block(1))
    (there.parent / f"{there.name[:2]}{'0' * 62}.whole.safetensors").write_bytes(b"torn")
    left, half_swept = (folder / "scratch" / name for name in ("1-dead", "2-whose-sweeper-died"))
    for one in (left, half_swept):
        one.mkdir()
        (one / "half").write_bytes(b"half a block")
    (left / "lock").touch()
    again = open_tier()
    gone = lambda: again.figures()["removed"] == 1 and not left.exists() and not half_swept.exists()  # noqa: E731
    wait_for(gone, 10, "what is no block is gone")
    assert again.read(key_of(1), MODEL) == block(1)


def test_reading_goes_on_while_the_index_is_looked_through(tier: SsdTier, open_tier: OpenTier, folder: Path) -> None:
    for n in range(60):
        tier.write(block(n))
    tier.close(30)
    for path in folder.glob(f"{NAME}*"):
        path.unlink()
    with Store(folder) as other, other.index.changing():
        again = open_tier()
        assert again.read(key_of(1), MODEL) == block(1)
        assert again.write(block(61))
        assert again.read(key_of(61), MODEL) == block(61)
    wait_for(lambda: again.figures()["adopted"] == 60, 10, "all files were adopted")
