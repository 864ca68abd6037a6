"""Whatever happens in whatever order: promises stay under the ceiling, and leases and workers are the same things.

A real node with its ledger, books, sampler and room makers. Only the reading of the machine is made up: a machine of
64 GiB whose free memory is what its neighbours and the workers leave. `--hypothesis-profile=thorough` tries 500 orders.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
from asgiref.sync import sync_to_async
from django.db import connections
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from fmlx_site.options import STORED
from memory.ceiling import GIB
from memory.errors import LeaseClosed, NeverFits, NoRoom
from memory.footprint import Footprint
from memory.inprocess import InProcessLauncher
from memory.machine import Machine
from memory.models import Lease, Node
from memory.node import LocalNode
from memory.protocol import Channel, Message
from memory.room import Priority, Shortage
from memory.workers import Worker, WorkerSpec

pytestmark = pytest.mark.django_db(transaction=True)
T = TypeVar("T")
TOTAL, STATIC, LOST = 64 * GIB, 56 * GIB, 2**22 + 1  # no pid is as large as LOST on Linux


def work(channel: Channel, spec: Message) -> Message:
    while channel.inbox.get()["type"] not in ("stop", "request"):
        pass
    return {}


class World:
    """The machine as the workers and their neighbours fill it. Bytes."""

    def __init__(self) -> None:
        self.neighbours = 0
        self.held: dict[Worker, int] = {}

    def machine(self) -> Machine:
        taken = self.neighbours + sum(self.held.values())
        return Machine(total=TOTAL, free=max(0, TOTAL - taken), reclaimable=0)


class Loop:
    """An event loop in a thread, for tests that are not async."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def close(self) -> None:
        self.run(sync_to_async(connections.close_all)())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class NodeMachine(RuleBasedStateMachine):
    """Loads, growth, ends, kills, neighbours and restarts in any order."""

    workers = Bundle("workers")
    sizes = st.integers(min_value=1, max_value=30)
    world: World
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        Node.objects.all().delete()
        self.world = self.__class__.world
        self.world.neighbours, self.world.held = 0, {}
        self.loop = Loop()
        self.running: dict[Worker, Lease] = {}
        self.loop.run(self._open())

    def teardown(self) -> None:
        try:
            self.settles()
        finally:
            self.loop.run(self._close())
            self.loop.close()
        assert not Lease.objects.exists()

    async def _open(self) -> None:
        self.stack = AsyncExitStack()
        self.node = await self.stack.enter_async_context(LocalNode.open("promises", InProcessLauncher(work)))
        self.node.register_room_maker(Priority.EVICT, self._evict)
        self.node.register_room_maker(Priority.STOP, self._stop_youngest)

    async def _close(self) -> None:
        await self.stack.aclose()
        assert self.node.workers == set()
        self.running.clear()
        self.world.held.clear()

    async def _evict(self, shortage: Shortage) -> int:
        return await self._stop_until(shortage, [one for one in self.running if one.spec.kind == "idle"])

    async def _stop_youngest(self, shortage: Shortage) -> int:
        busy = sorted(self.running, key=lambda one: self.running[one].pk, reverse=True)
        return await self._stop_until(shortage, [one for one in busy if one.spec.kind == "busy"])

    async def _stop_until(self, shortage: Shortage, workers: list[Worker]) -> int:
        coming = 0
        for worker in workers:
            if coming >= shortage.bytes:
                break
            coming += self.running[worker].bytes
            self._stopping = asyncio.ensure_future(worker.stop("others need the memory"))
        return coming

    def _alive(self, worker: Worker) -> bool:
        return worker in self.running

    @rule(target=workers, kind=st.sampled_from(["idle", "busy"]), size=sizes, share=st.integers(0, 100))
    def load(self, kind: str, size: int, share: int) -> Worker | None:
        return self.loop.run(self._load(kind, size * GIB, size * GIB * share // 100))

    async def _load(self, kind: str, size: int, held: int) -> Worker | None:
        try:
            lease = await self.node.reserve(kind, "job", size)
        except (NoRoom, NeverFits):
            return None
        await self._check_sum()
        worker = await self.node.launch(self._spec(kind), lease)
        await worker.send("start", spec={})
        self.running[worker] = lease
        self._hold(worker, held)
        self._ending = asyncio.ensure_future(self._forget(worker))
        return worker

    def _spec(self, kind: str) -> WorkerSpec:
        return WorkerSpec(kind=kind, holder="job", runtime="test", argv=[], log=self.folder / "log", cwd=self.folder)

    async def _forget(self, worker: Worker) -> None:
        await worker.wait()
        self.running.pop(worker, None)

    def _hold(self, worker: Worker, held: int) -> None:
        self.world.held[worker] = held
        worker.watch.note(Footprint(held, held, held))

    async def _check_sum(self) -> None:
        room = await sync_to_async(self.node.ledger.room)()
        assert room.leased <= room.ceiling
        assert room.leased <= STATIC

    @rule(worker=workers, share=st.integers(0, 100))
    def grow(self, worker: Worker | None, share: int) -> None:
        if worker and self._alive(worker):
            self._hold(worker, self.running[worker].bytes * share // 100)

    @rule(worker=workers, size=sizes)
    def resize(self, worker: Worker | None, size: int) -> None:
        if worker and self._alive(worker):
            self.loop.run(self._resize(worker, size * GIB))

    async def _resize(self, worker: Worker, size: int) -> None:
        before = self.running[worker].bytes
        try:
            self.running[worker] = await self.node.resize(worker, self.running[worker], size)
        except (NoRoom, NeverFits, LeaseClosed):
            return
        assert size < before or (await sync_to_async(self.node.ledger.room)()).leased <= STATIC
        self._hold(worker, min(self.world.held[worker], size))

    @rule(worker=consumes(workers))
    def ends(self, worker: Worker | None) -> None:
        if worker and self._alive(worker):
            self.loop.run(worker.send("request"))

    @rule(worker=consumes(workers))
    def is_killed(self, worker: Worker | None) -> None:
        if worker and self._alive(worker):
            self.loop.run(worker.stop("killed"))

    @rule(gib=st.integers(min_value=0, max_value=60))
    def neighbours_take(self, gib: int) -> None:
        self.world.neighbours = gib * GIB

    @rule(left=st.lists(st.booleans(), max_size=3))
    def restarts(self, left: list[bool]) -> None:
        """With leases in the database as a node that was killed leaves them: reserved, or bound to a dead process."""
        self.loop.run(self._close())
        for bound in left:
            process = {"state": "bound", "pid": LOST, "pid_started": 1.0} if bound else {}
            Lease.objects.create(node=Node.objects.get(), kind="busy", holder="lost", bytes=10 * GIB, **process)
        self.loop.run(self._open())

    @rule()
    def settles(self) -> None:
        self._wait(lambda: self._ceiling_is(min(STATIC, TOTAL - self.world.neighbours)))
        self._wait(lambda: self._same() and self._leased() <= min(STATIC, TOTAL - self.world.neighbours))

    def _ceiling_is(self, ceiling: int) -> bool:
        """Each worker is counted once: what all of them hold together changes nothing about the ceiling."""
        self.world.held = {worker: held for worker, held in self.world.held.items() if self._alive(worker)}
        return bool(Node.objects.get().ceiling_terms["bytes"] == ceiling)

    def _same(self) -> bool:
        leases = set(Lease.objects.values_list("pk", flat=True))
        return leases == {lease.pk for lease in self.running.values()} and set(self.running) == self.node.workers

    def _leased(self) -> int:
        return sum(lease.bytes for lease in Lease.objects.all())

    def _wait(self, condition: Callable[[], bool]) -> None:
        for _ in range(400):
            if condition():
                return
            self.loop.run(asyncio.sleep(0.02))
        raise AssertionError((self.world.neighbours, self.running, Node.objects.get().ceiling_terms))

    @invariant()
    def no_more_is_promised_than_the_ceiling(self) -> None:
        room = self.node.ledger.room()
        assert room.leased <= room.ceiling


def test_leases_and_workers_stay_one_whatever_happens(
    home: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    world = World()
    monkeypatch.setattr("memory.sampler.read_machine", world.machine)
    monkeypatch.setattr(STORED, "now", {"memory_sample_seconds": 0.03})
    for name, value in (("sampler.RECENT_SECONDS", 0.06), ("node.BOOKS_SECONDS", 0.03)):
        monkeypatch.setattr(f"memory.{name}", value)
    monkeypatch.setattr("memory.relief.ANSWER_SECONDS", 0.2)
    NodeMachine.world, NodeMachine.folder = world, home
    examples = max(15, settings.default.max_examples if settings.default.max_examples > 100 else 0)  # type: ignore[union-attr]
    checks = [HealthCheck.too_slow]
    few = settings(
        max_examples=examples, stateful_step_count=15, deadline=None, suppress_health_check=checks, database=None
    )
    run_state_machine_as_test(NodeMachine, settings=few)
