"""A machine that was suspended: silent for half a minute, and then it goes on as if nothing had been."""

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crash import aftermath
from tests.helpers import wait_for
from tests.house import Client, settle_in, workers_of
from tests.servers import MANAGE, running
from tests.undisturbed import Undisturbed

pytestmark = [pytest.mark.crash, pytest.mark.runtime, pytest.mark.services, pytest.mark.timeout(400)]
SOON = {"FMLX_VIDEO_BACKOFF_SECONDS": "0.02", "FMLX_VIDEO_IDLE_SECONDS": "0"}


def test_a_node_that_stood_still_cannot_finish_what_another_took_over(
    house: Path, undisturbed: Undisturbed, postgres: str, redis_url: str
) -> None:
    env = {**SOON, "DATABASE_URL": postgres, "REDIS_URL": redis_url}
    settle_in(house, env)

    def node(name: str) -> Any:
        called = {**env, "FMLX_NODE_NAME": name}
        return running((*MANAGE, "runworkers"), home=house, env=called, answers=lambda: has_models(client, name))

    alone: Any = {"home": house, "env": env, "ready_url": "/healthz"}
    with running((*MANAGE, "serve", "--site-only"), **alone) as site, Client(site) as client, node("one") as first:
        made = client.make(steps=40)
        client.until_phase(made["id"], "denoising")
        [worker] = workers_of(house)
        first.process.send_signal(signal.SIGSTOP)  # its worker goes on, and its result waits in the socket
        try:
            wait_for(lambda: "suspended" in refusal(client), 30, "a prompt being refused, not held")
            with node("two"):
                done = client.until(made["id"], "completed", timeout=120)
        finally:
            os.kill(first.process.pid, signal.SIGCONT)
        wait_for(lambda: not worker.is_running(), 60, "the worker whose job is another's being gone")
        later = client.until(client.make()["id"], "completed")
        assert client.video(made["id"]) == done
    rows = aftermath.read_rows(house, env)
    told = rows["jobs"][made["id"]]["history"]
    assert [what for what in told if what != "went_on"] == ["accepted", "started", "node_lost", "started", "completed"]
    assert rows["jobs"][later["id"]]["history"] == ["accepted", "started", "completed"]
    aftermath.check_attempts(made["id"], rows["jobs"][made["id"]]["attempts"])
    aftermath.check_frames(rows, undisturbed)
    aftermath.check_nothing_is_left(house, rows)


def refusal(client: Client) -> str:
    """While a node stands still, nobody waits for it."""
    asked = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}
    try:
        return client.post("/v1/chat/completions", json=asked, timeout=3).text
    except httpx.ReadTimeout:  # it was heard of a moment ago
        return ""


def has_models(client: Client, name: str) -> bool:
    return name in client.read("GET", "/v1/memory")["nodes"] and bool(client.read("GET", "/v1/models")["data"])
