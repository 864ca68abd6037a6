"""What is read from the operating system, and the arithmetic of the ceiling."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from memory.ceiling import GIB, Tier, compute_ceiling
from memory.device import Device, parse_metal, parse_nvidia, read_device
from memory.footprint import ReadingFailed, read_footprint
from memory.machine import Machine, read_machine
from memory.processes import ProcessGroup, ProcessRecord, _process_psutil, process
from tests.memory.support import MIB, running, wait_until

HOLDER = (
    "import mmap, signal; m = mmap.mmap(-1, {size}); [m.write(b'x' * 2**20) for _ in range({size} >> 20)]; "
    "print(flush=True); signal.pause()"
)


@pytest.mark.parametrize(
    ("tier", "total", "reserve", "static"),
    [
        ("safe", 128, 12, 116),
        ("balanced", 128, 8, 120),
        ("aggressive", 128, 6, 122),
        ("balanced", 32, 8, 24),
        ("balanced", 16, 4, 12),
        ("safe", 8, 3, 5),
        ("custom", 16, 10, 6),
        ("custom", 8, 10, 0),
    ],
)
def test_the_reserve_follows_the_tier_and_the_size_of_the_machine(
    tier: Tier, total: int, reserve: int, static: int
) -> None:
    machine = Machine(total=total * GIB, free=total * GIB, reclaimable=0)
    ceiling = compute_ceiling(machine, tier=tier, reserve=10 * GIB, held=0, device=None)
    assert (ceiling.inputs["reserve"], ceiling.static) == (reserve * GIB, static * GIB)
    assert ceiling.largest == static * GIB


@pytest.mark.parametrize(("tier", "dynamic"), [("safe", 32), ("balanced", 35), ("aggressive", 38), ("custom", 35)])
def test_the_dynamic_term_counts_own_workers_once_and_a_share_of_what_can_be_reclaimed(
    tier: Tier, dynamic: int
) -> None:
    machine = Machine(total=128 * GIB, free=10 * GIB, reclaimable=10 * GIB)
    ceiling = compute_ceiling(machine, tier=tier, reserve=8 * GIB, held=20 * GIB, device=96 * GIB)
    assert (ceiling.dynamic, ceiling.bytes, ceiling.largest) == (dynamic * GIB, dynamic * GIB, 96 * GIB)
    assert ceiling.terms()["inputs"]["held"] == 20 * GIB


def test_a_machine_without_an_accelerator_has_no_device_term() -> None:
    machine = Machine(total=64 * GIB, free=64 * GIB, reclaimable=0)
    ceiling = compute_ceiling(machine, tier="balanced", reserve=0, held=0, device=None)
    assert (ceiling.bytes, ceiling.terms()["device"]) == (56 * GIB, None)


def test_this_machine_reads_sensibly() -> None:
    machine = read_machine()
    assert 0 < machine.available <= machine.total
    assert machine.used + machine.available == machine.total


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("NVIDIA H100 80GB HBM3, 81559\n", Device("cuda", "NVIDIA H100 80GB HBM3", 81559 * MIB)),
        ("NVIDIA RTX 6000 Ada, 49140\nNVIDIA RTX 3060, 12288\n", Device("cuda", "NVIDIA RTX 6000 Ada", 49140 * MIB)),
        ("NVIDIA Thor, [N/A]\n", None),
        ("NVIDIA L4, 0\n", None),
        ("NVIDIA L4, ²³\n", None),
        ("NVIDIA L4\n", None),
        ("No devices were found\n", None),
        ("", None),
    ],
)
def test_nvidia_says_how_much_its_first_gpu_has(text: str, device: Device | None) -> None:
    assert parse_nvidia(text) == device


@pytest.mark.parametrize(
    ("total", "limit", "expected"),
    [
        (128 * GIB, "0\n", 96 * GIB),
        (128 * GIB, "122880\n", 120 * GIB),
        (36 * GIB, "", 24 * GIB),
        (24 * GIB, "0", 16 * GIB),
    ],
)
def test_metal_has_a_share_of_memory_until_somebody_sets_a_limit(total: int, limit: str, expected: int) -> None:
    assert parse_metal("Apple M4 Max\n", f"{total}\n", limit) == Device("metal", "Apple M4 Max", expected)
    for nothing in ("", "0\n", "unknown oid\n"):
        assert parse_metal("", nothing, limit) is None


def test_a_driver_that_fails_is_no_accelerator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "nvidia-smi"
    broken.write_text("#!/bin/sh\necho 'Failed to initialize NVML'\nexit 9\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert read_device() is None
    broken.write_bytes(b"#!/bin/sh\nprintf '\\377\\376 not text'\n")
    assert read_device() is None
    broken.write_text("#!/bin/sh\necho 'NVIDIA L4, 23034'\n")
    assert read_device() == Device("cuda", "NVIDIA L4", 23034 * MIB)


def test_a_process_and_its_children_are_weighed_together() -> None:
    size = 64 * MIB
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {HOLDER.format(size=size)!r}]); "
    child = subprocess.Popen(
        [sys.executable, "-c", code + HOLDER.format(size=size)], start_new_session=True, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        child.stdout.readline(), child.stdout.readline()
        group = ProcessGroup.of(child.pid)
        assert group is not None
        assert len(group.members()) == 2
        rough = read_footprint(group.members(), exact_above=GIB)
        exact = read_footprint(group.members())
        assert rough is not None
        assert exact is not None
        assert 2 * size < exact.bytes < rough.bytes < 2 * size + 64 * MIB  # PSS counts shared pages once
        assert size < exact.lifetime < 2 * size
        assert rough.kept == exact.kept < rough.bytes  # code and libraries are files, and can be read again
    finally:
        for pid in group.members() if group else [child.pid]:
            os.kill(pid, 9)
        child.wait()
        child.stdout.close() if child.stdout else None
    wait_until(lambda: not group.members())
    assert process(child.pid) is _process_psutil(child.pid) is None
    assert read_footprint([child.pid]) is None


def test_a_zombie_is_nobody() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    group = ProcessGroup.of(child.pid)
    assert group is not None
    wait_until(lambda: not running(child.pid))
    assert process(child.pid) == ProcessRecord(started=group.started, zombie=True)
    assert getattr(_process_psutil(child.pid), "zombie", None) is True  # as other systems than Linux read it
    assert group.members() == []
    assert read_footprint([child.pid]) is None
    child.wait()


def test_a_node_that_leads_its_session_is_no_worker_of_its_own() -> None:
    code = "import os; from memory.processes import ProcessGroup; print(ProcessGroup.of(os.getpid()).members())"
    done = subprocess.run(
        [sys.executable, "-c", code], start_new_session=True, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_pid_that_was_used_again_is_somebody_else() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
    try:
        group = ProcessGroup.of(child.pid)
        assert group is not None
        earlier = ProcessGroup(child.pid, group.started - 60)
        earlier.signal(signal.SIGKILL)
        assert earlier.members() == []
        assert group.members() == [child.pid]
    finally:
        child.kill()
        child.wait()


def test_a_reading_that_the_system_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ReadingFailed, match="Permission denied"):
        read_footprint([os.getpid()])
