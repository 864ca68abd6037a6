"""The shipped server with little memory: an engine's lease grows with what is asked of it, and shrinks again."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
import pytest

from memory import environments
from tests.early import ROOT, make_home
from tests.helpers import wait_for
from tests.servers import Server, manage, running

pytestmark = pytest.mark.runtime
KEY, MIB = "a-key-for-tests", 1024**2
CEILING, WORK = 640 * MIB, 5 * MIB
LONG = [400] * 5_000  # 5 MiB of KV cache, and as much again to bring it there
RESERVE = """
from memory import Ledger
from memory.models import Node
ledger = Ledger(Node.objects.get().pk)
room = ledger.room()
ledger.reserve("video", "somebody else", room.ceiling - room.leased - 2 * 1024**2)
"""
RELEASE = """
from memory import Ledger
from memory.models import Lease, Node
Ledger(Node.objects.get().pk).release(Lease.objects.get(holder="somebody else"))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environments.build(ROOT / ".make" / "test-home", "mlx-lm")
    home = make_home(tmp_path_factory.mktemp("fmlx") / "h")
    manage("migrate", home=home)
    manage("firststart", home=home, env={"FMLX_API_KEY": KEY})
    build = [str(environments.runtime_python(home, "mlx-lm")), "-m", "inference.engine.demo"]
    (home / "models").mkdir()
    subprocess.run([*build, str(home / "models" / "demo-chat")], cwd=ROOT, check=True, capture_output=True)
    small = {
        "FMLX_MEMORY_TIER": "custom",
        "FMLX_MEMORY_RESERVE_BYTES": str(psutil.virtual_memory().total - CEILING),
        "FMLX_ENGINE_WORK_BYTES": str(WORK),
        "FMLX_ENGINE_PATIENCE_SECONDS": "1",
    }
    with running(home=home, env=small) as server:
        wait_for(lambda: model(server), 20, "the model being found")
        assert complete(server, [400]).status_code == 200
        yield server


def complete(server: Server, prompt: list[int], **fields: Any) -> httpx.Response:
    with client_of(server) as client:
        return client.post("/v1/completions", json={"prompt": prompt, "max_tokens": 4, "ignore_eos": True, **fields})


@contextmanager
def client_of(server: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=server.base_url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


def model(server: Server) -> dict[str, Any]:
    with client_of(server) as client:
        return dict(next(iter(client.get("/v1/models").json()["data"]), {}))


def lease(server: Server) -> int:
    return int(model(server)["lease_bytes"])


@pytest.fixture
def crowded(server: Server) -> Iterator[None]:
    """Somebody else was promised all but 2 MiB of the machine."""
    home = server.home
    manage("shell", "-c", RESERVE, home=home)
    yield
    manage("shell", "-c", RELEASE, home=home)


def test_a_long_prompt_makes_the_lease_grow_and_it_shrinks_when_nobody_asks(server: Server) -> None:
    wait_for(lambda: lease(server) < 2 * WORK + 256 * MIB, 30, "the lease being small")
    before = lease(server)
    answer = complete(server, LONG)
    assert answer.status_code == 200, answer.text
    assert lease(server) > before
    wait_for(lambda: lease(server) <= before + 8 * MIB, 40, "the lease being small again")
    assert complete(server, [400] * 100).status_code == 200


def test_what_others_hold_is_503_and_short_prompts_are_served_meanwhile(server: Server, crowded: None) -> None:
    answer = complete(server, LONG)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_room"), answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    streamed = complete(server, LONG, stream=True)
    assert (streamed.status_code, streamed.json()["error"]["code"]) == (503, "no_room")
    assert complete(server, [400] * 100).status_code == 200


def test_what_the_machine_could_never_hold_is_413_before_any_forward(server: Server) -> None:
    for stream in (False, True):
        answer = complete(server, [400] * 32_000, n=16, stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "context_too_large_for_memory"), (
            answer.text
        )
        assert "32,000 tokens" in answer.json()["error"]["message"]
    assert complete(server, [400] * 100).status_code == 200
