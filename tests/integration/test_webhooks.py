"""Webhooks of a real server that is killed between a job's end and its delivery."""

from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.helpers import wait_for
from tests.house import open_house
from tests.receiver import Receiver

pytestmark = pytest.mark.runtime
QUICK = {"FMLX_WEBHOOK_BACKOFF_SECONDS": "0.1", "FMLX_LOG_LEVEL": "WARNING"}


def test_what_a_killed_server_had_not_delivered_is_delivered_after(house: Path) -> None:
    receiver = Receiver()
    with open_house(house, QUICK) as client:
        hook = client.read("POST", "/v1/webhooks", json={"url": receiver.url.replace("127.0.0.1", "localhost")})
        made = client.make()["id"]
        client.until(made, "completed")
        cancelled = client.make(steps=60, frames=17)["id"]
        client.read("POST", f"/v1/videos/{cancelled}/cancel")
        client.server.kill()
    with receiver.up(), open_house(house, QUICK) as client:

        def all_delivered() -> bool:
            log = client.read("GET", f"/v1/webhooks/{hook['id']}/deliveries")["data"]
            return [one["status"] for one in log] == ["delivered"] * 2

        wait_for(all_delivered, 30, "the deliveries")
    events = [Webhook(hook["secret"]).verify(body, headers) for headers, body in receiver.got]
    found = sorted((event["type"], event["data"]["id"]) for event in events)
    assert found == [("video.completed", made), ("video.failed", cancelled)]
