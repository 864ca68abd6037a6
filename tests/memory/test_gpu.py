"""What workers hold of a GPU: read from text in the form of nvidia-smi's, counted once, and missed aloud."""

import signal
import time
from collections.abc import Callable

import pytest

from memory.gpu import GpuReader, parse_apps
from memory.node import LocalNode
from memory.sampler import Sampler
from memory.workers import WorkerSpec
from tests.memory.support import MIB, hear, start, until

GIB = 1024 * MIB


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("", {}),
        ("4711, 20480\n", {4711: 20 * GIB}),
        ("4711, 20480\n4712, 512\n4711, 100\n", {4711: 20 * GIB + 100 * MIB, 4712: 512 * MIB}),
        ("4711, 20480\n4712, [N/A]\n", {4711: 20 * GIB}),
    ],
)
def test_each_process_has_what_its_lines_say(text: str, held: dict[int, int]) -> None:
    reading = parse_apps(text)
    assert (reading.held, reading.missing) == (held, "")


@pytest.mark.parametrize(
    ("text", "why"),
    [(None, "nvidia-smi gave no answer"), ("4711, [N/A]\n", "does not say what 1 processes hold")],
)
def test_a_figure_that_is_missing_is_a_fact_and_not_a_zero(text: str | None, why: str) -> None:
    reader = GpuReader(lambda: text)
    reader.tick()
    assert why in reader.missing
    assert reader.of([4711]) == 0


def test_a_driver_that_hangs_is_a_fact_too(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = GpuReader(lambda: "")
    reader.tick()
    assert reader.missing == ""
    monkeypatch.setattr("memory.gpu.STALE_SECONDS", -1.0)
    assert "nothing was read for" in reader.missing


async def test_what_a_worker_holds_of_the_gpu_counts_against_its_lease_and_not_as_the_machines(
    node: LocalNode, spec: Callable[..., WorkerSpec]
) -> None:
    worker = await start(node, spec(), size=4 * GIB, do="wait")
    await hear(worker, "event")
    await until(lambda: worker.watch.footprint is not None)
    sampler, before = Sampler(), worker.watch.footprint or 0
    sampler.watch(worker.watch)
    reader = sampler.gpu = GpuReader(lambda: f"{worker.pid}, 3072\n")
    reader.tick()
    node.sampler.unwatch(worker.watch)
    sampler.tick(time.monotonic())
    assert worker.watch.footprint == pytest.approx(before + 3 * GIB, abs=16 * MIB)
    assert worker.watch.kept < GIB
    assert worker.watch.verdict is None
    sampler.gpu = GpuReader(lambda: f"{worker.pid}, 6144\n")
    sampler.gpu.tick()
    sampler.tick(time.monotonic())
    assert (await worker.wait()).signal == signal.SIGKILL
    assert getattr(worker.watch.verdict, "code", "") == "memory_lease_exceeded"
