"""A worker is launched, talked to, and ended, and its lease is its own as long as it runs."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from memory.errors import LaunchFailed
from memory.models import Lease
from memory.node import LocalNode
from memory.workers import WorkerSpec
from tests.memory.support import MIB, hear, launch, leases, reserve, running, said, start, until

Spec = Callable[..., WorkerSpec]
OPENBLAS = [*Path("/usr/lib").glob("*/openblas-pthread/libopenblas.so.0")]


async def test_a_worker_does_its_work_and_its_lease_comes_back(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), do="report", prompt="a cat")
    assert worker.hello["versions"] == {"python": "3"}
    bound = await Lease.objects.aget()
    assert (bound.state, bound.pid) == (Lease.State.BOUND, worker.pid)

    event, done = await said(worker)
    ended = await worker.wait()

    assert event == {"type": "event", "phase": "working", "step": 1}
    assert done["manifest"]["got"] == {"do": "report", "prompt": "a cat"}
    assert (ended.status, ended.signal, ended.verdict) == (0, None, None)
    assert ended.wall_seconds > 0
    assert await leases() == 0
    assert node.workers == set()


async def test_failure_is_told_with_its_code_and_the_traceback_is_in_the_log(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), do="fail")
    (failed,) = await said(worker)
    assert (failed["type"], failed["code"], failed["detail"]) == ("failed", "out_of_luck", "Nobody knows why.")
    assert (await worker.wait()).status == 1
    assert "WorkerFailed: It did not work." in worker.spec.log.read_text()


async def test_nothing_of_the_nodes_environment_reaches_a_worker_unless_it_is_named(
    node: LocalNode, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("DATABASE_URL", "postgres://hush@db/fmlx")
    monkeypatch.setenv("LANG", "ru_RU.UTF-8")
    worker = await start(node, spec(env={"MLX_THREADS": "2", "FMLX_NODE": "somebody else"}), do="report")
    given = (await hear(worker, "done"))["manifest"]

    environment = given["environment"]
    assert "hush" not in str(environment)
    assert (environment["LANG"], environment["HF_HUB_OFFLINE"], environment["MLX_THREADS"]) == ("ru_RU.UTF-8", "1", "2")
    assert environment["FMLX_NODE"] == "test-node"  # what marks the worker cannot be overridden
    assert given["cwd"] == str(worker.spec.cwd)
    assert environment["XDG_CACHE_HOME"].startswith(given["cwd"])
    assert given["session"] == worker.pid


@pytest.mark.skipif(sys.platform != "linux" or not OPENBLAS, reason="OpenBLAS is not installed here")
async def test_openblas_is_loaded_into_a_worker_that_computes_on_the_cpu(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), do="wait")
    await hear(worker, "event")
    assert "libopenblas" in await asyncio.to_thread(Path(f"/proc/{worker.pid}/maps").read_text)


async def test_a_node_that_closes_starts_nothing_more(home: Path, database: None, spec: Spec) -> None:
    async with LocalNode.open("test-node") as node:
        lease = await reserve(node)
    with pytest.raises(LaunchFailed, match="is closing"):
        await node.launch(spec(), lease)
    assert await leases() == 0


async def test_many_requests_arrive_whole_and_in_order(node: LocalNode, spec: Spec) -> None:
    """More than the socket's buffer holds, with senders that are cancelled on the way."""
    worker = await start(node, spec(), do="count_lines")
    sizes = [1, 300_000, 0, 2_000_000, 17]
    for number, size in enumerate(sizes):
        sending = asyncio.ensure_future(worker.send("request", number=number, text="ж" * size))
        await asyncio.sleep(0)
        sending.cancel()
    await hear(worker, "event")
    answers = [await hear(worker, "event") for _ in sizes]
    assert [(answer["number"], answer["length"]) for answer in answers] == list(enumerate(sizes))


async def test_no_message_overtakes_another_that_waits_for_the_socket(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), do="count_lines")
    await hear(worker, "event")
    sending = []
    for number in range(400):
        text = "x" * (1_000_000 if number % 40 < 2 else 1)
        sending.append(asyncio.ensure_future(worker.send("request", number=number, text=text)))
        await asyncio.sleep(0)  # the worker reads all the while
    assert [(await hear(worker, "event"))["number"] for _ in sending] == list(range(400))
    await asyncio.gather(*sending)


async def test_a_message_that_the_socket_takes_is_sent_before_others_have_their_turn(
    node: LocalNode, spec: Spec
) -> None:
    worker = await start(node, spec(), do="count_lines")
    turns: list[str] = []
    asyncio.get_running_loop().call_soon(turns.append, "another's")
    await worker.send("request", number=1, text="")
    assert turns == []
    await hear(worker, "event")
    assert (await hear(worker, "event"))["number"] == 1


async def test_an_unknown_message_is_refused_and_the_work_goes_on(node: LocalNode, spec: Spec) -> None:
    strange = b'{"type":"gossip","about":"you"}\n'
    worker = await start(node, spec(), do="say", hex=strange.hex(), seconds=0.3)
    await worker.send("gossip")
    messages = await said(worker)
    assert [message["type"] for message in messages] == ["error", "done"]
    assert "'gossip'" in messages[0]["message"]
    assert "The node refused a message: Unknown message type 'gossip'." in worker.spec.log.read_text()
    assert (await worker.wait()).verdict is None


NONSENSE = {
    "text": b"not json\n",
    "list": b"[1]\n",
    "no type": b'{"kind":1}\n',
    "not utf-8": b"\xff\xfe\n",
    "nan": b'{"type":"event","x":NaN}\n',
    "deep": b"[" * 100_000 + b"\n",
    "half a character": b'{"type":"event","text":"\\ud800"}\n',
}


@pytest.mark.parametrize("line", NONSENSE.values(), ids=NONSENSE)
async def test_a_worker_that_talks_nonsense_is_ended_and_the_node_goes_on(
    node: LocalNode, spec: Spec, line: bytes
) -> None:
    worker = await start(node, spec(), do="say", hex=line.hex(), seconds=30)
    assert await said(worker) == []
    ended = await worker.wait()
    assert ended.verdict is not None
    assert ended.verdict.code == "worker_protocol_error"
    assert await leases() == 0
    assert (await hear(await start(node, spec(), do="report"), "done"))["type"] == "done"


async def test_a_line_without_end_is_cut_off(node: LocalNode, spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.connection.MAX_LINE_BYTES", 4096)
    worker = await start(node, spec(), do="say", hex=(b"x" * 5000).hex(), seconds=30)
    ended = await worker.wait()
    assert ended.verdict is not None
    assert "longer than 4096 bytes" in ended.verdict.message


async def test_a_reader_that_is_slow_holds_the_worker_up_and_loses_nothing(
    node: LocalNode, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.mailbox.MAX_UNREAD_BYTES", 10_000)
    lines = b"".join(b'{"type":"event","phase":"p","number":%d,"pad":"%s"}\n' % (n, b"." * 5000) for n in range(300))
    worker = await start(node, spec(), do="say", hex=lines.hex())
    await asyncio.sleep(0)
    assert worker in node.workers
    numbers = [message["number"] for message in await said(worker) if message["type"] == "event"]
    assert numbers == list(range(300))
    assert (await worker.wait()).status == 0


async def test_a_program_that_is_not_there_fails_the_launch_and_gives_the_lease_back(
    node: LocalNode, spec: Spec
) -> None:
    with pytest.raises(LaunchFailed, match="could not be started"):
        await launch(node, spec(argv=["/nowhere/python"]))
    assert await leases() == 0
    assert node.workers == set()


async def test_a_worker_that_ends_before_hello_fails_with_the_end_of_its_log(node: LocalNode, spec: Spec) -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('No module named mlx')"]
    with pytest.raises(LaunchFailed, match=r"before it said hello.*No module named mlx"):
        await launch(node, spec(argv=argv))
    assert await leases() == 0


async def test_a_worker_that_never_says_hello_is_ended(
    node: LocalNode, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.workers.HELLO_SECONDS", 0.2)
    argv = [sys.executable, "-c", "import os, signal; print(os.getpid(), flush=True); signal.pause()"]
    with pytest.raises(LaunchFailed, match=r"did not say hello within"):
        await launch(node, spec(argv=argv))
    assert await leases() == 0


async def test_a_worker_of_another_protocol_is_refused(node: LocalNode, spec: Spec) -> None:
    say = "import socket, sys; s = socket.socket(fileno=int(sys.argv[2])); "
    say += """s.sendall(b'{"type":"hello","protocol":99}\\n'); s.recv(1)"""
    with pytest.raises(LaunchFailed, match="speaks protocol 99"):
        await launch(node, spec(argv=[sys.executable, "-c", say]))


async def test_an_obedient_worker_stops_at_the_message(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), do="wait")
    await hear(worker, "event")
    asked = time.monotonic()
    await worker.stop("the test is over")
    assert time.monotonic() - asked < 1.5  # before any signal
    assert (await said(worker))[-1]["code"] == "aborted"
    assert (await worker.wait()).signal is None


async def test_a_worker_that_ignores_the_message_is_terminated(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), do="be_stubborn")
    await hear(worker, "event")
    await worker.stop("the test is over")
    assert (await worker.wait()).signal == signal.SIGTERM


@pytest.mark.parametrize("do", ["be_stubborn", "stop_itself"])
async def test_a_worker_that_ignores_sigterm_too_is_gone_within_five_seconds(
    node: LocalNode, spec: Spec, do: str
) -> None:
    worker = await start(node, spec("--ignore-sigterm"), do=do)
    await hear(worker, "event")
    asked = time.monotonic()
    await asyncio.gather(*(worker.stop("asked twice") for _ in range(2)))
    assert time.monotonic() - asked < 5
    assert not running(worker.pid)
    assert (await worker.wait()).signal == signal.SIGKILL


async def test_a_stop_goes_on_when_its_caller_is_cancelled(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec("--ignore-sigterm"), do="be_stubborn")
    await hear(worker, "event")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(worker.stop("impatient"), 0.1)
    assert (await worker.wait()).signal == signal.SIGKILL


async def test_a_lease_lasts_as_long_as_the_last_process(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec("--ignore-sigterm"), do="be_stubborn")
    await hear(worker, "event")
    stopping = asyncio.ensure_future(worker.stop("the test is over"))
    while running(worker.pid):
        held = await leases()
        assert held == 1 or not running(worker.pid)
        await asyncio.sleep(0.01)
    await stopping
    await worker.wait()
    assert await leases() == 0


async def test_a_worker_that_hangs_up_and_goes_on_is_ended(
    node: LocalNode, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.launcher.LINGER_SECONDS", 0.1)
    worker = await start(node, spec(), do="hang_up")
    assert await said(worker) == []
    assert (await worker.wait()).signal == signal.SIGTERM


async def test_what_a_worker_leaves_behind_is_ended_with_it(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), do="leave_child")
    child = (await hear(worker, "done"))["manifest"]["child"]
    ended = await worker.wait()
    assert ended.status == 0
    assert not running(child)


async def test_a_caller_that_leaves_during_the_launch_leaves_nothing(node: LocalNode, spec: Spec) -> None:
    launching = asyncio.ensure_future(node.launch(spec(), await reserve(node)))
    await until(lambda: bool(node.workers))
    (worker,) = node.workers
    launching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await launching
    await worker.wait()
    assert not running(worker.pid)
    assert await leases() == 0


async def test_a_crash_shows_its_signal_and_what_it_said_before(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), do="wait")
    await hear(worker, "event")
    os.kill(worker.pid, signal.SIGSEGV)
    ended = await worker.wait()
    assert (ended.status, ended.signal, ended.verdict) == (None, signal.SIGSEGV, None)
    await worker.send("request")  # nobody is there to hear it: no error
    await worker.stop("too late")


async def test_the_log_is_its_owners_alone(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), do="report")
    await worker.wait()
    assert worker.spec.log.stat().st_mode & 0o777 == 0o600


async def test_a_lease_that_grows_is_told_to_the_worker_and_to_the_watchdog(node: LocalNode, spec: Spec) -> None:
    worker = await start(node, spec(), do="wait")
    await hear(worker, "event")
    lease = await Lease.objects.aget()
    grown = await node.resize(worker, lease, 600 * MIB)
    assert grown.bytes == worker.watch.lease == 600 * MIB
