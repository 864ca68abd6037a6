"""The whole server as its users meet it: live streams, downloads that are resumed, stops, and every way to start it."""

import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import httpx_sse
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.helpers import wait_for
from tests.house import KEY, PASSWORD, Client, ask, open_house, settle_in, stopped_after, workers_of
from tests.servers import MANAGE, Server, running

pytestmark = pytest.mark.runtime
PHASES = ["loading", "encoding", "denoising", "decoding", "muxing", "verifying", "completed"]
LONG = {"size": "96x96", "frames": 17, "steps": 60}


def test_a_job_is_followed_live_from_the_queue_to_its_end(served: Client) -> None:
    made = served.make(steps=20, frames=17)
    with httpx_sse.connect_sse(served, "GET", f"/v1/videos/{made['id']}/events") as stream:
        events = [(event.event, int(event.id), json.loads(event.data)) for event in stream.iter_sse()]
    numbers = [number for _, number, _ in events]
    assert numbers == sorted(set(numbers))
    assert [name for name, _, _ in events][-1] == "video.finished"
    seen = [video["phase"] for _, _, video in events if video["phase"] in PHASES]
    assert seen == sorted(seen, key=PHASES.index)
    assert {"denoising", "decoding", "completed"} <= set(seen)
    progress = [video["progress"] for _, _, video in events]
    assert progress == sorted(progress)
    assert len({step for _, _, video in events if video["phase"] == "denoising" for step in [video["step"]]}) > 2
    assert events[-1][2] == served.video(made["id"])


def test_a_download_that_broke_off_is_resumed_where_it_stopped(served: Client) -> None:
    done = served.until(served.make()["id"], "completed")
    url = f"/v1/videos/{done['id']}/content"
    with served.stream("GET", url) as whole:
        got, etag = next(whole.iter_raw(1000)), whole.headers["ETag"]  # and the connection is closed
    rest = served.get(url, headers={"Range": f"bytes={len(got)}-", "If-Range": etag})
    assert rest.status_code == 206
    size = len(got) + len(rest.content)
    assert rest.headers["Content-Range"] == f"bytes {len(got)}-{size - 1}/{size}"
    assert f'"{hashlib.sha256(got + rest.content).hexdigest()}"' == etag
    assert served.get(url, headers={"Range": f"bytes={size}-"}).status_code == 416


@pytest.mark.quiet
def test_a_stop_is_the_last_event_of_a_conversation(both: Path) -> None:
    body = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    endless = {**body, "ignore_eos": True, "max_tokens": 20_000}
    with open_house(both) as client:
        with httpx_sse.connect_sse(client, "POST", "/v1/chat/completions", json=endless, timeout=90) as stream:
            events = stream.iter_sse()
            next(events)
            client.server.process.terminate()
            *_, last = events
        assert (last.event, json.loads(last.data)["error"]["code"]) == ("error", "server_stopping")
        assert stopped_after(client.server) <= 5.0


@pytest.mark.quiet
def test_a_stop_takes_five_seconds_and_costs_the_running_job_nothing(house: Path) -> None:
    with open_house(house) as client:
        made = client.make(**LONG)
        client.until_phase(made["id"], "denoising")
        with httpx_sse.connect_sse(client, "GET", f"/v1/videos/{made['id']}/events") as stream:
            events = stream.iter_sse()
            next(events)
            assert stopped_after(client.server) <= 5.0
            with contextlib.suppress(httpx.RemoteProtocolError):  # it was cut off, as it must be
                assert [event.event for event in events if event.event != "video.progress"] == []
    assert workers_of(house) == []
    row = "from videos.models import VideoJob as V; from memory.models import Lease;"
    row += "job = V.objects.get(); print(job.status, job.attempt_count, Lease.objects.count())"
    assert ask(house, row) == "queued 0 0"
    assert list((house / "work").rglob("*.*")) == []
    with open_house(house) as client:
        done = client.until(made["id"], "completed", timeout=60)
        assert (done["attempts"], done["error"]) == (1, None)


def log_in(server: Server) -> dict[str, str]:
    """Cookies of a browser in which the operator has logged in."""
    with httpx.Client(base_url=server.base_url, trust_env=False, headers={"Referer": server.base_url}) as browser:
        form = browser.get("/login/")
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', form.text)[0]
        fields = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": token, "next": "/admin/"}
        assert browser.post("/login/", data=fields).status_code == httpx.codes.FOUND
        return dict(browser.cookies)


def live(server: Server, path: str = "/ws/videos/") -> ClientConnection:
    """The operator's websocket, as a page of this server opens it."""
    cookies = "; ".join(f"{name}={value}" for name, value in log_in(server).items())
    address = server.base_url.replace("http", "ws") + path
    headers = {"Cookie": cookies, "Origin": server.base_url}
    return connect(address, additional_headers=headers, proxy=None)


def hear(socket: ClientConnection) -> Any:
    return json.loads(socket.recv(timeout=10))


@pytest.mark.parametrize(
    "command",
    [
        (sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", "fmlx_site.asgi:application"),
        (sys.executable, "-m", "uvicorn", "--port", "{port}", "fmlx_site.asgi:application"),
        (*MANAGE, "runserver", "--noreload", "--skip-checks", "127.0.0.1:{port}"),
    ],
    ids=["daphne", "uvicorn", "runserver"],
)
def test_every_asgi_server_serves_api_pages_and_sockets(house: Path, command: Sequence[str]) -> None:
    options: dict[str, Any] = {"ready_url": "/healthz", "exits": (0, -2, -15, 143)}
    with running(command, home=house, **options) as server, Client(server) as client:
        assert client.read("GET", "/v1/videos")["data"] == []
        refused = httpx.get(f"{server.base_url}/v1/videos", trust_env=False)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        assert client.get("/readyz").status_code == 503  # there is no node
        assert client.get("/health").is_success  # which load generators ask for
        with live(server) as socket:
            assert hear(socket) == {"type": "snapshot", "videos": []}


@pytest.mark.services
def test_a_site_and_a_node_of_their_own_share_postgres_and_redis(house: Path, postgres: str, redis_url: str) -> None:
    env = {"DATABASE_URL": postgres, "REDIS_URL": redis_url}
    settle_in(house, env)
    node_alone: dict[str, Any] = {"command": (*MANAGE, "runworkers"), "home": house, "env": env}
    with running((*MANAGE, "serve", "--site-only"), home=house, env=env, ready_url="/healthz") as site:
        client = Client(site)
        with client, running(**node_alone, answers=lambda: ready(client)), live(site) as page:
            assert hear(page)["type"] == "snapshot"
            wait_for(lambda: client.read("GET", "/v1/models")["data"], 15, "the node's model being listed")
            made = client.make(steps=20, frames=17)
            with httpx_sse.connect_sse(client, "GET", f"/v1/videos/{made['id']}/events") as stream:
                events = [json.loads(event.data) for event in stream.iter_sse()]
            assert (events[-1]["status"], events[-1]["attempts"]) == ("completed", 1)
            assert {"denoising", "decoding"} <= {event["phase"] for event in events}
            shown: list[Any] = []
            while not shown or shown[-1]["status"] != "completed":
                shown += [message["video"]] if (message := hear(page))["type"] == "video" else []
            assert {"denoising", "decoding"} <= {video["phase"] for video in shown}
            assert client.get(f"/v1/videos/{made['id']}/content").content[4:8] == b"ftyp"


def ready(client: Client) -> bool:
    return client.get("/readyz").status_code == httpx.codes.OK


def test_a_key_is_asked_for_on_every_way_in(served: Client) -> None:
    anonymous = httpx.Client(base_url=served.server.base_url, trust_env=False)
    with anonymous:
        for path in ("/v1/videos", "/v1/models", "/v1/memory"):
            assert anonymous.get(path).status_code == 401, path
            assert anonymous.get(path, headers={"X-API-Key": KEY}).status_code == 200, path
