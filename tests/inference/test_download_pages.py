"""Asking for downloads: on the page without JavaScript, over its socket, by the API, and at the command line."""

import json
from io import StringIO

import httpx
import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from fmlx_site.asgi import application
from fmlx_site.audit import Origin
from fmlx_site.models import Change
from inference.downloads import changes, rows
from inference.downloads.models import Download
from inference.downloads.names import understand
from inference.models import ApiKey
from memory import say
from memory.models import Node
from tests.inference.test_library import site, text

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
NAME = "demo/chat-tiny"
GIB = 2**30
__all__ = ["site"]


@pytest.fixture
def node(transactional_db: None) -> Node:
    return Node.objects.create(name="here", boot_id="1", pid=1)


def post(site: Client, **fields: str) -> str:
    return text(site.post("/models/downloads/ask/", fields, follow=True).content)


def running(node: Node) -> Download:
    """A quarter of 4 GiB, at 64 MiB a second."""
    changes.ask(understand(NAME), Origin())
    row = rows.claim(node.pk)
    assert row is not None
    rows.found(row, "c0ffee", 4 * GIB)
    rows.report(row, GIB, 2**26)
    return row


def test_a_pasted_address_becomes_a_download_and_is_in_the_trail(site: Client) -> None:
    shown = post(site, repository=f"https://huggingface.co/{NAME}/tree/main")
    assert f"{NAME} is being downloaded." in shown
    assert f"{NAME} queued Cancel begins when a node is free for it" in shown
    row = Download.objects.get()
    assert row.user is not None
    assert (row.user.username, row.revision) == ("admin", "main")
    change = Change.objects.get()
    assert (change.what, change.name, change.new) == ("model", NAME, {"download": "queued", "revision": "main"})


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"repository": "qwen"}, "is no id of a repository"), ({"repository": NAME, "revision": "a b"}, "is no revision")],
)
def test_what_was_not_understood_is_said_at_its_field_and_stays(
    site: Client, fields: dict[str, str], said: str
) -> None:
    answer = site.post("/models/downloads/ask/", fields)
    assert answer.status_code == 400
    assert said in text(answer.content)
    assert "<details open>" in answer.content.decode()
    assert f'value="{fields["repository"]}"' in answer.content.decode()
    assert not Download.objects.exists()


def test_one_that_runs_says_how_far_it_is(site: Client, node: Node) -> None:
    running(node)
    page = site.get("/models/").content
    assert "1.0 GiB of 4.0 GiB · 64.0 MiB a second · about 48 s left" in text(page)
    assert f'<progress max="{4 * GIB}" value="{GIB}"' in page.decode()
    assert text(site.get("/models/downloads/").content).strip() in text(page)


def test_one_that_has_begun_to_come_is_cancelled_after_asking(site: Client, node: Node) -> None:
    row = Download.objects.create(repository=NAME, state="running", node=node, bytes_done=3 * 2**20, bytes_total=2**30)
    assert f'href="/models/downloads/{row.pk}/cancel/"' in site.get("/models/").content.decode()
    asked = text(site.get(f"/models/downloads/{row.pk}/cancel/").content)
    assert "Cancel this download?" in asked
    assert "What has come so far (3.0 MiB) is deleted" in asked
    row.refresh_from_db()
    assert row.state == "running"


def test_it_is_cancelled_tried_again_and_removed(site: Client, node: Node) -> None:
    row = running(node)
    shown = text(site.post(f"/models/downloads/{row.pk}/cancel/", follow=True).content)
    assert f"The download of {NAME} was cancelled." in shown
    assert f"{NAME} cancelled Try again Remove from the list" in shown
    assert "has ended" in text(site.post(f"/models/downloads/{row.pk}/cancel/", follow=True).content)
    site.post(f"/models/downloads/{row.pk}/again/")
    assert Download.objects.get().state == "queued"
    site.post(f"/models/downloads/{row.pk}/remove/")
    assert not Download.objects.exists()
    assert [change.new and change.new["download"] for change in Change.objects.order_by("pk")] == [
        *("queued", "cancelled", "queued", None)
    ]


@pytest.mark.parametrize(
    ("language", "said"), [("en", "There is no"), ("ru", "нет репозитория"), ("zh-hans", "没有仓库")]
)
def test_why_it_failed_is_said_in_the_reader_s_language(site: Client, node: Node, language: str, said: str) -> None:
    row = running(node)
    rows.fail(row, "download_no_repository", say("download_no_repository", repository=NAME, hub="https://hub.example"))
    site.cookies["django_language"] = language
    assert said in text(site.get("/models/").content)


def test_who_may_only_look_sees_downloads_and_changes_none(site: Client, node: Node) -> None:
    row = running(node)
    user = User.objects.create_user("viewer", password="a long password")
    user.user_permissions.add(Permission.objects.get(codename="view_modelfolder"))
    viewer = Client()
    viewer.force_login(user)
    page = viewer.get("/models/").content.decode()
    assert NAME in page
    assert "/models/downloads/ask/" not in page
    for path in ("ask", *(f"{row.pk}/{what}" for what in ("cancel", "again", "remove"))):
        assert viewer.post(f"/models/downloads/{path}/").status_code == 403, path


async def test_the_socket_says_that_downloads_are_others(site: Client, node: Node) -> None:
    cookie = f"fmlx_session={site.cookies['fmlx_session'].value}"
    headers = [(b"cookie", cookie.encode()), (b"origin", b"http://localhost"), (b"host", b"localhost")]
    socket = WebsocketCommunicator(application, "/ws/models/", headers=headers)
    assert (await socket.connect(timeout=5))[0]
    await socket.receive_json_from(timeout=5)
    await sync_to_async(changes.ask)(understand(NAME), Origin())
    assert await socket.receive_json_from(timeout=5) == {"type": "downloads"}
    await socket.disconnect()


@pytest.fixture
def keys(site: Client) -> dict[str, dict[str, str]]:
    """Headers by the scope of their key."""
    owner = User.objects.get()
    made = {scope: ApiKey.make(scope, owner, scopes=[scope])[1] for scope in ("models:write", "chat")}
    return {scope: {"Authorization": f"Bearer {secret}"} for scope, secret in made.items()}


async def test_the_api_asks_lists_says_how_far_and_forgets(client: httpx.AsyncClient, keys, node: Node) -> None:
    client.headers.update(keys["models:write"])
    asked = await client.post("/v1/models/downloads", json={"repository": NAME})
    again = await client.post("/v1/models/downloads", json={"repository": NAME, "revision": "main"})
    assert (asked.status_code, asked.json()) == (202, again.json())
    assert (asked.json()["status"], asked.json()["bytes_total"]) == ("queued", None)
    row = await sync_to_async(running)(node)
    one = (await client.get(f"/v1/models/downloads/{row.pk}")).json()
    refused = await client.delete(f"/v1/models/downloads/{10**30}")
    assert (refused.status_code, refused.json()["error"]["param"]) == (404, "download_id")
    assert (await client.delete("/v1/models/downloads/no-number")).status_code == 405
    assert (one["status"], one["bytes_done"], one["bytes_total"]) == ("running", GIB, 4 * GIB)
    assert (one["commit"], one["eta_seconds"], one["error"]) == ("c0ffee", 48.0, None)
    assert (await client.get("/v1/models/downloads")).json() == {"object": "list", "data": [one]}
    await sync_to_async(rows.fail)(row, "download_ended", "It ended.")
    failed = (await client.get(f"/v1/models/downloads/{row.pk}")).json()
    assert (failed["status"], failed["error"]) == ("failed", {"code": "download_ended", "message": "It ended."})
    gone = await client.delete(f"/v1/models/downloads/{row.pk}")
    assert gone.json() == {"id": row.pk, "object": "model.download.deleted", "deleted": True}
    missing = await client.get(f"/v1/models/downloads/{row.pk}")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "download_not_found")
    assert await Change.objects.filter(source="api").acount() == 2


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"repository": "../etc"}, "repository_invalid", "repository"),
        ({"repository": NAME, "revision": ".."}, "invalid_value", "revision"),
        ({"repository": 1}, "invalid_value", "repository"),
        ({"repository": NAME, "branch": "main"}, "unknown_parameter", "branch"),
    ],
)
async def test_the_api_refuses_what_is_no_repository(
    client: httpx.AsyncClient, keys, body, code: str, param: str
) -> None:
    answer = await client.post("/v1/models/downloads", json=body, headers=keys["models:write"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), answer.text
    assert answer.json()["error"]["param"] == param


async def test_a_key_for_something_else_may_not(client: httpx.AsyncClient, keys) -> None:
    for method, path in (("POST", ""), ("GET", ""), ("GET", "/1"), ("DELETE", "/1")):
        answer = await client.request(method, f"/v1/models/downloads{path}", headers=keys["chat"])
        assert (answer.status_code, json.loads(answer.content)["error"]["code"]) == (403, "missing_scope")


def test_pull_follows_a_download_to_its_end(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    Node.objects.update(heartbeat_at=timezone.now())
    steps = iter([lambda: running(node), lambda: rows.finish(Download.objects.get())])
    monkeypatch.setattr("inference.management.commands.pull.time.sleep", lambda _seconds: next(steps)())
    out = StringIO()
    call_command("pull", NAME, stdout=out)
    assert "1.00 GiB of 4.00 GiB, 67.1 MB/s" in out.getvalue()
    assert out.getvalue().endswith(f"{NAME} is downloaded, 4.00 GiB.\n")


def test_pull_without_a_node_leaves_it_in_line(transactional_db: None) -> None:
    out = StringIO()
    call_command("pull", NAME, stdout=out)
    assert "No node runs" in out.getvalue()
    assert Download.objects.get().state == "queued"


def test_pull_says_what_is_wrong(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="is no id of a repository"):
        call_command("pull", "qwen")
    Node.objects.update(heartbeat_at=timezone.now())

    def fail(_seconds: float) -> None:
        rows.fail(running(node), "download_ended", "It ended.")

    monkeypatch.setattr("inference.management.commands.pull.time.sleep", fail)
    with pytest.raises(CommandError, match="It ended"):
        call_command("pull", NAME)
