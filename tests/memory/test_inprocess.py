"""The second implementation of a worker: the same face, in a thread."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from memory.inprocess import InProcessLauncher
from memory.models import Lease
from memory.node import LocalNode
from memory.protocol import Channel, Message, WorkerFailed
from memory.workers import WorkerSpec
from tests.memory.support import hear, leases, said, start

Spec = Callable[..., WorkerSpec]


def work(channel: Channel, spec: Message) -> Message:
    channel.event("working", step=1)
    if spec["do"] == "fail":
        raise WorkerFailed("out_of_luck", "It did not work.")
    if spec["do"] == "wait":
        channel.stopping.wait()
        channel.checkpoint()
    return {"did": spec["do"]}


@pytest.fixture
async def inside(home: Path, database: None) -> AsyncIterator[LocalNode]:
    async with LocalNode.open("inside", launcher=InProcessLauncher(work)) as node:
        yield node


async def test_work_is_done_in_a_thread_under_a_lease(inside: LocalNode, spec: Spec) -> None:
    worker = await start(inside, spec(), do="this")
    assert worker.hello["kind"] == "test"
    assert (await Lease.objects.aget()).state == Lease.State.BOUND
    assert [message["type"] for message in await said(worker)] == ["event", "done"]
    ended = await worker.wait()
    assert (ended.status, ended.signal, ended.verdict) == (0, None, None)
    assert await leases() == 0


async def test_failure_and_stop_look_the_same(inside: LocalNode, spec: Spec) -> None:
    failing = await start(inside, spec(), do="fail")
    assert (await hear(failing, "failed"))["code"] == "out_of_luck"
    assert (await failing.wait()).status == 1
    waiting = await start(inside, spec(), do="wait")
    await hear(waiting, "event")
    await waiting.stop("the test is over")
    assert (await hear(waiting, "failed"))["code"] == "aborted"
    assert (await waiting.wait()).status == 1


async def test_a_lease_bound_to_this_process_never_ends_it(home: Path, database: None, spec: Spec) -> None:
    async with LocalNode.open("inside", launcher=InProcessLauncher(work)) as node:
        lease = await Lease.objects.acreate(node=node.row, kind="test", holder="job", bytes=1)
        worker = await start(node, spec(), do="wait")
        bound = await Lease.objects.aget(state=Lease.State.BOUND)
        lease.pid, lease.pid_started, lease.state = bound.pid, bound.pid_started, bound.state
        await lease.asave()
        await worker.stop("the test is over")
    async with LocalNode.open("inside", launcher=InProcessLauncher(work)):
        assert await leases() == 0
