"""A real engine on a machine whose memory others take: it shrinks, works again, and is ended only when it must be."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django import Settings

from inference.catalog import read_catalog
from inference.models import ModelFolder
from inference.pool import Pool, here
from memory import environments
from memory.ceiling import GIB
from memory.machine import Machine
from memory.models import Event, Lease
from memory.node import LocalNode
from memory.sampler import Sample
from tests.early import ROOT
from tests.helpers import await_for
from tests.inference.conftest import MIB
from tests.inference.test_pool import answer

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(240)]


@pytest.fixture
def engine_home(home: Path) -> Path:
    test_home = ROOT / ".make" / "test-home"
    environments.build(test_home, "mlx-lm")
    home.mkdir()
    (home / "runtimes").symlink_to(test_home / "runtimes")
    python = environments.runtime_python(home, "mlx-lm")
    command = [str(python), "-m", "inference.engine.demo", str(home / "models" / "demo-chat"), "--kind", "chat"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return home


def readings(free: int, reclaimable: int = 0) -> Callable[[], list[Sample]]:
    return lambda: [Sample(Machine(total=64 * GIB, free=free, reclaimable=reclaimable))]


async def leased() -> int:
    return sum([lease.bytes async for lease in Lease.objects.all()])


async def told(what: str) -> list[str]:
    return [event.holder async for event in Event.objects.filter(what=what)]


async def test_a_falling_ceiling_shrinks_an_idle_engine_and_then_ends_it(
    engine_home: Path, transactional_db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FMLX = settings.FMLX.model_copy(update={"memory_tier": "custom", "memory_reserve_bytes": 0})
    monkeypatch.setattr("memory.relief.ANSWER_SECONDS", 0.5)
    async with LocalNode.open("here") as node:
        folder = engine_home / "models" / "demo-chat"
        await ModelFolder.objects.acreate(node=node.row, name="demo-chat", path=str(folder), type="chat", size_bytes=1)
        model = (await read_catalog()).chat_model("demo-chat")
        pool = Pool(node)
        with here(pool):
            await answer(pool, model)
            whole = await leased()
            there = pool.entries["demo-chat"].resident
            assert there is not None
            await await_for(lambda: there.status.get("base_bytes"), what="the engine to say what it holds")

            above_the_ceiling = readings(
                whole - 256 * MIB, 2 * 192 * MIB
            )  # half of it is counted on, and the cap is all
            monkeypatch.setattr(node.sampler, "recent", above_the_ceiling)

            async def shrunk() -> int:
                now = await leased()
                return now if now < whole else 0

            small = await await_for(shrunk, timeout=30, what="the engine to shrink")
            await await_for(lambda: there.status.get("lease_bytes") == small, what="the engine to obey")
            assert (await answer(pool, model))["phase"] == "finished"
            assert await told("evicted") == []

            monkeypatch.setattr(node.sampler, "recent", readings(64 * MIB))
            await await_for(there.gone.is_set, timeout=30, what="the engine to end")
            assert await told("evicted") == ["demo-chat"]
            assert await leased() == 0
