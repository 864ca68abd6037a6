"""A node owns its machine alone, and cleans up after one that died."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models.signals import post_save
from django.utils import timezone

from memory import identity
from memory.books import Books
from memory.errors import NodeRunning
from memory.models import Lease, Node, Sample
from memory.node import LocalNode
from memory.processes import process
from memory.workers import WorkerSpec
from tests.memory.support import MIB, hear, leases, reserve, running, start, until, wait_until

Spec = Callable[..., WorkerSpec]


@pytest.fixture
def doomed(home: Path, database: None) -> Iterator[Callable[..., tuple[subprocess.Popen[str], dict[str, Any]]]]:
    """A node in a process of its own on this test's database, with one worker; ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str, home: Path = home) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        url = connection.settings_dict
        database = f"sqlite:///{url['NAME']}" if connection.vendor == "sqlite" else _postgres(url)
        settled = {"DATABASE_URL": database, "FMLX_HOME": str(home), "DJANGO_SETTINGS_MODULE": "fmlx_site.settings"}
        command = [sys.executable, "-m", "tests.memory.workers.node", *arguments]
        node = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **settled})
        started.append(node)
        assert node.stdout is not None
        return node, json.loads(node.stdout.readline())

    yield begin
    for node in started:
        node.kill()
        node.wait()
        if node.stdout:
            node.stdout.close()


def _postgres(url: dict[str, Any]) -> str:
    return f"postgres://{url['USER']}:{url['PASSWORD']}@{url['HOST']}:{url['PORT']}/{url['NAME']}"


async def test_a_name_is_for_one_process(node: LocalNode) -> None:
    with pytest.raises(NodeRunning, match=f"runs already, as process {os.getpid()} "):
        async with LocalNode.open("test-node"):
            pass
    async with LocalNode.open("another"):
        assert await Node.objects.acount() == 2


async def test_a_name_is_for_one_machine_of_those_that_share_a_database(
    home: Path, database: None, doomed: Callable[..., Any], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "another machine's home"  # its lock cannot be seen from here
    elsewhere.mkdir()
    other, _ = doomed("wait", home=elsewhere)
    with pytest.raises(NodeRunning, match=f"on \\S+ as process {other.pid}, and shares .* FMLX_NODE_NAME, or stop"):
        async with LocalNode.open("test-node"):
            pass
    assert (await Node.objects.aget()).pid == other.pid  # it was not disturbed
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    async with LocalNode.open("test-node") as node:
        assert node.row.pid == os.getpid()


async def test_a_node_that_is_started_again_in_its_home_does_not_wait(
    home: Path, database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "WATCH_SECONDS", 3600.0)
    for _ in range(2):  # as after a crash: its row says that it was heard of just now
        async with LocalNode.open("test-node"):
            pass


async def test_a_node_can_promise_memory_as_soon_as_it_is_open(node: LocalNode) -> None:
    room = await sync_to_async(node.ledger.room)()
    assert 0 < room.free <= room.largest
    row = await Node.objects.aget(name="test-node")
    assert row.ceiling_terms["inputs"]["tier"] == settings.FMLX.memory_tier
    assert row.boot_id == node.row.boot_id


async def test_heartbeat_ceiling_and_samples_are_written_every_second(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), do="wait")
    await hear(worker, "event")
    old = await Sample.objects.acreate(node=node.row, at=timezone.now() - timedelta(hours=2), footprint_bytes=1)
    before = (await Node.objects.aget()).heartbeat_at
    deadline = time.monotonic() + 10
    while not (mine := await Sample.objects.filter(holder="job", footprint_bytes__gt=0).afirst()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
    assert 5 * MIB < mine.footprint_bytes < 500 * MIB
    machine = await Sample.objects.filter(kind="").afirst()
    assert machine is not None
    assert machine.available_bytes
    assert (await Node.objects.aget()).heartbeat_at > before
    books = Books(node.row, node.ledger, node.sampler, None)
    await sync_to_async(books.write)()
    assert not await Sample.objects.filter(pk=old.pk).aexists()


async def test_a_database_that_is_away_for_a_moment_does_not_end_the_node(
    node: LocalNode, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failed = []

    def away(books: Books) -> None:
        failed.append(books)
        raise DatabaseError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(Books, "_beat", away)
        await until(lambda: len(failed) >= 2)
    assert "database is locked" in caplog.text
    before = (await Node.objects.aget()).heartbeat_at
    deadline = time.monotonic() + 10
    while (await Node.objects.aget()).heartbeat_at == before:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_lease_is_given_back_even_if_the_database_refuses_at_first(
    node: LocalNode, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, refusals = node.ledger.release, [DatabaseError("database is locked")]

    def refuse_once(lease: Lease) -> None:
        if refusals:
            raise refusals.pop()
        release(lease)

    monkeypatch.setattr(node.ledger, "release", refuse_once)
    worker = await start(node, spec(), do="report")
    await worker.wait()
    assert await leases() == 0


async def test_a_caller_that_leaves_while_memory_is_promised_to_it_leaves_no_lease(node: LocalNode) -> None:
    made: list[Lease] = []
    post_save.connect(lambda instance, **_: made.append(instance), sender=Lease, weak=False, dispatch_uid="test")
    try:
        reserving = asyncio.ensure_future(node.reserve("test", "job", MIB))
        await asyncio.sleep(0)
        reserving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reserving
        await until(lambda: bool(made))
    finally:
        post_save.disconnect(sender=Lease, dispatch_uid="test")
    await until(lambda: not node._tasks)
    assert await leases() == 0


async def test_closing_the_node_stops_its_workers(home: Path, database: None, spec: Spec) -> None:
    async with LocalNode.open("test-node") as node:
        workers = [await start(node, spec("--ignore-sigterm"), size=300 * MIB, do=do) for do in ("be_stubborn", "wait")]
        for worker in workers:
            await hear(worker, "event")
        closing = time.monotonic()
    assert time.monotonic() - closing < 6
    assert not any(running(worker.pid) for worker in workers)
    assert await leases() == 0


async def test_a_worker_is_gone_two_seconds_after_its_node_was_killed(doomed: Callable[..., Any]) -> None:
    node, told = doomed("be_stubborn")
    assert running(told["worker"])
    node.send_signal(signal.SIGKILL)
    node.wait()
    killed = time.monotonic()
    wait_until(lambda: not running(told["worker"]))
    assert time.monotonic() - killed < 2
    assert await leases() == 1  # nobody was there to release it


@pytest.mark.parametrize("bound", [True, False], ids=["bound", "spawned but never bound"])
async def test_a_node_that_starts_ends_the_workers_of_a_dead_one(
    doomed: Callable[..., Any], bound: bool, home: Path
) -> None:
    """The worker was stopped with SIGSTOP, so it can notice nothing by itself."""
    node, told = doomed("stop_itself")
    node.send_signal(signal.SIGKILL)
    node.wait()
    assert running(told["worker"])
    if not bound:
        await Lease.objects.aupdate(state=Lease.State.RESERVED, pid=None, pid_started=None)
    async with LocalNode.open("test-node") as after:
        assert not running(told["worker"])
        assert await leases() == 0
        await reserve(after)


async def test_a_bound_worker_whose_environment_cannot_be_read_is_found_by_pid_and_start(
    doomed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    node, told = doomed("stop_itself")
    node.send_signal(signal.SIGKILL)
    node.wait()
    monkeypatch.setattr("memory.orphans._environment", lambda pid: None)
    async with LocalNode.open("test-node"):
        assert not running(told["worker"])
        assert await leases() == 0


async def test_somebody_elses_process_under_a_used_pid_is_left_alone(
    home: Path, database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause = (sys.executable, "-c", "import signal; signal.pause()")
    stranger = await asyncio.create_subprocess_exec(*pause, start_new_session=True)
    other_home = {**os.environ, "FMLX_NODE": "test-node", "FMLX_LEASE": "1", "FMLX_HOME": "/somewhere/else"}
    neighbour = await asyncio.create_subprocess_exec(*pause, env=other_home, start_new_session=True)
    try:
        row = await Node.objects.acreate(name="test-node", boot_id="old", pid=1)
        found = process(stranger.pid)
        assert found is not None
        for started in (found.started - 5, found.started):
            bound = {"state": Lease.State.BOUND, "pid": stranger.pid, "pid_started": started}
            await Lease.objects.acreate(node=row, kind="test", holder="job", bytes=1, **bound)
        await Lease.objects.acreate(node=row, kind="test", holder="job", bytes=1)
        async with LocalNode.open("test-node"):
            assert running(stranger.pid)
            assert running(neighbour.pid)
    finally:
        for child in (stranger, neighbour):
            child.kill()
            await child.wait()
