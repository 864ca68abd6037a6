"""One machine, too small for both: a chat model and a video take turns, and each is told why it waits and how long."""

from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers import wait_for
from tests.house import Client, open_house

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(240)]
GIB = 1024**3
CEILING = int(1.4 * GIB)  # a 64x64 clip is promised 1.22 GiB, and the demo chat model holds 0.2
LONG = {"size": "64x64", "frames": 17, "steps": 100}


def chat(client: Client) -> Any:
    body = {"model": "demo-chat", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    return client.post("/v1/chat/completions", json=body, timeout=90)


def leases(client: Client) -> dict[str, Any]:
    return {lease["kind"]: lease for lease in client.read("GET", "/v1/memory")["leases"]}


def test_a_chat_model_and_a_video_take_turns(both: Path) -> None:
    reserve = psutil.virtual_memory().total - CEILING
    with open_house(both, {"FMLX_MEMORY_TIER": "custom", "FMLX_MEMORY_RESERVE_BYTES": str(reserve)}) as client:
        wait_for(lambda: len(client.read("GET", "/v1/models")["data"]) > 1, 20, "both models being found")
        made = client.make(**LONG)
        wait_for(lambda: leases(client).get("generator", {}).get("ends_at"), 60, "the video saying when it ends")
        refused = chat(client)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (503, "no_room_for_model")
        assert f"Expected to end in {refused.headers['Retry-After']} s: generator {made['id']}" in error["message"]

        client.read("POST", f"/v1/videos/{made['id']}/cancel")
        wait_for(lambda: chat(client).status_code == 200, 60, "the chat model having the room")
        engine = leases(client)["engine"]
        done = client.until(client.make(steps=1)["id"], "completed")  # for which the idle engine goes
        assert done["attempts"] == 1
        evicted = client.read("GET", "/v1/memory/events?what=evicted")["data"]
        assert [(event["holder"], event["lease"]) for event in evicted] == [("demo-chat", engine["id"])]
        assert evicted[0]["figures"]["for_holder"] == done["id"]
        wait_for(lambda: chat(client).status_code == 200, 60, "the room being given back")
