"""What the watchdog ends, why, and that nothing keeps it from doing so."""

import signal
import time
from collections.abc import Callable, Iterable

import pytest

from memory.footprint import Footprint, ReadingFailed
from memory.node import LocalNode
from memory.sampler import Sampler
from memory.watch import Pulse, Verdict, Watch
from memory.watchdog import judge
from memory.workers import Exit, Worker, WorkerSpec
from tests.memory.support import MIB, hear, running, said, start, wait_until

Spec = Callable[..., WorkerSpec]


def watch(**fields: object) -> Watch:
    start = Pulse(heartbeat=100.0, progress=100.0)
    given = {"lease": 1024 * MIB, "tolerance": 256 * MIB, "pulse": start, "timeout": None, "stall": None}
    return Watch(kind="test", holder="job", launched=100.0, **{**given, **fields})  # type: ignore[arg-type]


def refused(times: int) -> Watch:
    one = watch()
    for _ in range(times):
        one.note_failure("Permission denied")
    return one


def held(size: int) -> Watch:
    one = watch()
    one.note(Footprint(size, size, size))
    return one


WELL = [
    (held(1280 * MIB), 100.0),
    (refused(2), 100.0),
    (watch(timeout=30.0, pulse=Pulse(heartbeat=130.0, progress=100.0)), 130.0),
    (watch(), 115.0),
    (watch(stall=10.0), 110.0),
    (watch(pulse=Pulse(heartbeat=0.0, progress=0.0, open=False)), 100.0),  # it said its last, and may take time to end
]
ENDED = [
    (held(1281 * MIB), 100.0, "memory_lease_exceeded", "1.25 GiB, and its lease is 1.00 GiB with 0.25 GiB"),
    (refused(3), 100.0, "monitor_failed", "3 times in a row (Permission denied)"),
    (watch(timeout=30.0), 130.1, "job_timeout", "30 s"),
    (watch(), 115.1, "worker_stalled", "15.1 s"),
    (watch(stall=10.0), 110.5, "worker_stalled", "no progress for 10.5 s, and 10 s is the limit"),
    (watch(pulse=Pulse(fault="Not JSON", heartbeat=100.0)), 100.0, "worker_protocol_error", "Not JSON"),
]


@pytest.mark.parametrize(("one", "now"), WELL)
def test_a_worker_within_its_bounds_is_left_alone(one: Watch, now: float) -> None:
    assert judge(one, now) is None


@pytest.mark.parametrize(("one", "now", "code", "figures"), ENDED, ids=[code for _, _, code, _ in ENDED])
def test_a_worker_out_of_bounds_is_named_with_the_figures(one: Watch, now: float, code: str, figures: str) -> None:
    verdict = judge(one, now)
    assert verdict is not None
    assert verdict.code == code
    assert figures in verdict.message


def test_one_good_reading_makes_up_for_those_that_failed() -> None:
    one = refused(2)
    one.note(Footprint(MIB, MIB, MIB))
    one.note_failure("Permission denied")
    assert judge(one, 100.0) is None


def test_a_node_that_did_not_run_does_not_blame_its_workers() -> None:
    sampler, one, begun = Sampler(), watch(stall=10.0), time.monotonic()
    one.pulse.heartbeat = one.pulse.progress = begun
    sampler.watch(one)
    sampler.tick(begun + 0.25)
    sampler.tick(begun + 3600)  # the lid was closed
    assert one.verdict is None
    for quarters in range(1, 66):
        sampler.tick(begun + 3600 + quarters * 0.25)
    assert getattr(one.verdict, "code", None) == "worker_stalled"


async def ended_by_watchdog(worker: Worker) -> tuple[Exit, Verdict]:
    ended = await worker.wait()
    assert ended.verdict is not None
    return ended, ended.verdict


async def test_growth_past_the_lease_is_killed_with_the_figures(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), size=64 * MIB, do="grow", bytes=400 * MIB)
    ended, verdict = await ended_by_watchdog(worker)
    assert (ended.signal, verdict.code) == (signal.SIGKILL, "memory_lease_exceeded")
    assert "its lease is 0.06 GiB with 0.25 GiB of tolerance" in verdict.message
    assert ended.peak_bytes is not None
    assert ended.peak_bytes > 320 * MIB


async def test_growth_within_the_lease_is_let_be_and_its_peak_is_told(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), size=512 * MIB, do="grow", bytes=400 * MIB)
    await hear(worker, "event")
    wait_until(lambda: (worker.watch.footprint or 0) > 400 * MIB)
    await worker.stop("the test is over")
    ended = await worker.wait()
    assert ended.verdict is None
    assert ended.peak_bytes is not None
    assert 400 * MIB < ended.peak_bytes < 512 * MIB


async def test_a_blocked_event_loop_does_not_delay_the_watchdog(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), size=64 * MIB, do="grow", bytes=400 * MIB)
    wait_until(lambda: not running(worker.pid))  # this blocks the event loop
    _, verdict = await ended_by_watchdog(worker)
    assert verdict.code == "memory_lease_exceeded"


async def test_a_blocked_event_loop_does_not_make_a_worker_look_silent(
    node: LocalNode, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = await start(node, spec(), do="wait")
    await hear(worker, "event")
    monkeypatch.setattr("memory.watchdog.HEARTBEAT_TIMEOUT_SECONDS", 2.5)
    blocked = time.monotonic()
    wait_until(lambda: time.monotonic() - blocked > 4)
    assert worker.watch.verdict is None
    assert running(worker.pid)


async def test_a_silent_worker_is_ended(node: LocalNode, spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.watchdog.HEARTBEAT_TIMEOUT_SECONDS", 1.5)
    worker = await start(node, spec("--ignore-sigterm"), do="stop_itself")
    ended, verdict = await ended_by_watchdog(worker)
    assert (verdict.code, ended.signal) == ("worker_stalled", signal.SIGKILL)  # SIGTERM does not reach it


async def test_a_worker_without_progress_is_ended_although_its_heart_beats(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(stall_seconds=1.5), do="wait")
    ended, verdict = await ended_by_watchdog(worker)
    assert (verdict.code, ended.signal) == ("worker_stalled", signal.SIGTERM)
    assert "1.5 s is the limit" in verdict.message


async def test_a_worker_that_takes_too_long_is_ended(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(timeout_seconds=0.8), do="be_stubborn")
    ended, verdict = await ended_by_watchdog(worker)
    assert (verdict.code, ended.signal) == ("job_timeout", signal.SIGTERM)
    assert (await said(worker))[0]["phase"] == "stubborn"


async def test_a_worker_whose_memory_cannot_be_read_is_ended(node: LocalNode, spec: Spec) -> None:
    readings: list[Iterable[int]] = []

    def refuse(pids: Iterable[int], *, exact_above: int = 0) -> Footprint | None:
        readings.append(pids)
        raise ReadingFailed("/proc/1/status: Permission denied")

    node.sampler._read = refuse
    worker = await start(node, spec(), do="wait")
    _, verdict = await ended_by_watchdog(worker)
    assert verdict.code == "monitor_failed"
    assert "/proc/1/status: Permission denied" in verdict.message
    assert len(readings) >= 3
