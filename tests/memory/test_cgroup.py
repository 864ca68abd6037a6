"""A container's limit, read from files as kernels write them."""

from pathlib import Path

import pytest

from memory.ceiling import GIB, compute_ceiling
from memory.cgroup import GroupLimit, read_group_limit
from memory.machine import Machine

# In the form of a container's with --memory=8g, cgroup v2: the lines that are read and a few others.
STAT = """anon 2411724800
file 1879048192
kernel 71303168
sock 0
inactive_file 1342177280
active_file 536870912
slab_reclaimable 33554432
slab_unreclaimable 8388608
"""


def group(folder: Path, *, limit: str, used: str = "4362076160\n", stat: str = STAT) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("memory.max", limit), ("memory.current", used), ("memory.stat", stat)):
        (folder / name).write_text(text)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "own").write_text("0::/\n")
    return tmp_path / "own"


def test_a_containers_limit_and_what_it_uses_are_read(tmp_path: Path, own: Path) -> None:
    group(tmp_path / "fs", limit="8589934592\n")
    found = read_group_limit(tmp_path / "fs", own)
    assert found == GroupLimit(8 * GIB, 4362076160, 1342177280 + 536870912 + 33554432)
    assert found.free == 8 * GIB - 4362076160


def test_the_tightest_group_above_the_process_holds(tmp_path: Path, own: Path) -> None:
    own.write_text("1:name=systemd:/init.scope\n0::/system.slice/fmlx.service\n")
    root = tmp_path / "fs"
    group(root / "system.slice" / "fmlx.service", limit="max\n")
    group(root / "system.slice", limit=f"{6 * GIB}\n")
    found = read_group_limit(root, own)
    assert found is not None
    assert found.limit == 6 * GIB
    group(root / "system.slice" / "fmlx.service", limit=f"{5 * GIB}\n")
    assert getattr(read_group_limit(root, own), "limit", None) == 5 * GIB


@pytest.mark.parametrize(
    ("limit", "used", "stat"),
    [("max\n", "1\n", STAT), ("", "1\n", STAT), ("8589934592\n", "", STAT), ("nonsense", "1", "")],
)
def test_no_limit_and_none_that_can_be_read_is_none(
    tmp_path: Path, own: Path, limit: str, used: str, stat: str
) -> None:
    group(tmp_path / "fs", limit=limit, used=used, stat=stat)
    assert read_group_limit(tmp_path / "fs", own) is None


@pytest.mark.parametrize("text", ["", "4:memory:/docker/ab12\n", "0::/../../outside\n"])
def test_without_version_2_or_outside_of_it_there_is_no_limit(tmp_path: Path, text: str) -> None:
    group(tmp_path / "fs", limit="8589934592\n")
    (tmp_path / "own").write_text(text)
    assert read_group_limit(tmp_path / "fs", tmp_path / "own") is None
    assert read_group_limit(tmp_path / "nowhere", tmp_path / "absent") is None


def test_a_full_or_damaged_statistic_counts_nothing_twice(tmp_path: Path, own: Path) -> None:
    group(tmp_path / "fs", limit="8589934592\n", used="1048576\n", stat="inactive_file 9999999999\nhalf a li")
    assert read_group_limit(tmp_path / "fs", own) == GroupLimit(8 * GIB, 2**20, 2**20)


def test_the_ceiling_is_the_containers_when_that_is_smaller_than_the_machine() -> None:
    machine = Machine(total=128 * GIB, free=50 * GIB, reclaimable=50 * GIB)
    inside = machine.within(GroupLimit(limit=16 * GIB, used=6 * GIB, reclaimable=2 * GIB))
    assert (inside.total, inside.free, inside.reclaimable, inside.limit) == (16 * GIB, 10 * GIB, 2 * GIB, 16 * GIB)
    ceiling = compute_ceiling(inside, tier="balanced", reserve=0, held=3 * GIB, device=None)
    assert (ceiling.static, ceiling.dynamic, ceiling.bytes) == (12 * GIB, 14 * GIB, 12 * GIB)
    assert (ceiling.utmost, ceiling.cap, ceiling.inputs["limit"]) == (15 * GIB, 12 * GIB, 16 * GIB)


def test_a_machine_with_less_to_give_than_the_containers_limit_decides() -> None:
    machine = Machine(total=32 * GIB, free=1 * GIB, reclaimable=3 * GIB)
    inside = machine.within(GroupLimit(limit=16 * GIB, used=2 * GIB, reclaimable=GIB))
    assert (inside.free, inside.reclaimable) == (GIB, 3 * GIB)
    assert machine.within(None) == machine == machine.within(GroupLimit(64 * GIB, 0, 0))
