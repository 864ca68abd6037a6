"""A worker is launched, talked to, and ended, and its lease is its own as long as it runs."""

from collections.abc import Callable

import pytest

from memory.models import Lease
from memory.node import LocalNode
from memory.workers import WorkerSpec
from tests.memory.support import hear, leases, said, start

Spec = Callable[..., WorkerSpec]


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
