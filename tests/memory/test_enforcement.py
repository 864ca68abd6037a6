"""A worker that takes more than it was promised is stopped in time, and its neighbours notice nothing."""

import asyncio
import sys
from collections.abc import Callable

import pytest

from memory.node import LocalNode
from memory.workers import Exit, Worker, WorkerSpec
from tests.memory.support import MIB, hear, running, start

Spec = Callable[..., WorkerSpec]
STEP, LEASE, TOLERANCE = 50 * MIB, 100 * MIB, 256 * MIB
PACE_SECONDS = 0.5  # two of the sampler's ticks: the bound of one step is for growth that it can see
AT_ONCE = 5


async def answers(neighbour: Worker, number: int) -> None:
    await neighbour.send("request", number=number, text="still there?")
    assert (await hear(neighbour, "event"))["number"] == number


async def overgrow(node: LocalNode, spec: Spec, number: int) -> tuple[Exit, int]:
    """How it ended, and the most it said that it took."""
    worker = await start(
        node, spec(holder=f"greedy-{number}"), size=LEASE, do="grow_in_steps", bytes=STEP, seconds=PACE_SECONDS
    )
    taken = [message["bytes"] async for message in worker.messages() if message["type"] == "event"]
    ended = await worker.wait()
    assert not running(worker.pid)
    return ended, max(taken, default=0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("times", [AT_ONCE, pytest.param(50, marks=pytest.mark.crash)])
async def test_growth_in_steps_is_stopped_within_one_step_of_the_tolerance_every_time(
    node: LocalNode, spec: Spec, times: int
) -> None:
    neighbour = await start(node, spec(holder="neighbour"), do="count_lines")
    await hear(neighbour, "event")
    went: list[int] = []
    for number in range(0, times, AT_ONCE):
        for ended, taken in await asyncio.gather(*(overgrow(node, spec, number + one) for one in range(AT_ONCE))):
            assert ended.verdict is not None
            assert ended.verdict.code == "memory_lease_exceeded"
            assert "its lease is 0.10 GiB with 0.25 GiB of tolerance" in ended.verdict.message
            went += [max(taken, ended.peak_bytes or 0)]
        await answers(neighbour, number)
    over = [(size - LEASE - TOLERANCE) // MIB for size in went]
    sys.stdout.write(f"\n{len(went)} of {times} stopped, at {min(over)} to {max(over)} MiB past lease and tolerance.\n")
    assert max(over) <= STEP // MIB
    await neighbour.stop("the test is over")
    assert (await neighbour.wait()).verdict is None
