"""The Memory page as a browser without JavaScript sees it, what its script fetches, and its socket."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from fmlx_site.asgi import application
from inference.models import ModelFolder
from memory.ceiling import GIB, compute_ceiling
from memory.errors import NoRoom
from memory.ledger import Ledger
from memory.machine import Machine
from memory.models import Event, Lease, Node, Sample
from memory.node import LocalNode
from videos.predictor import predict

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(transactional_db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin", password="a long password"))
    return client


@pytest.fixture
def row(transactional_db: None) -> Node:
    return Node.objects.create(name="here", boot_id="1", pid=1)


@pytest.fixture
def books(row: Node) -> Ledger:
    made = Ledger(row.pk)
    machine = Machine(total=64 * GIB, free=20 * GIB, reclaimable=8 * GIB)
    given = {"reserve": 0, "held": GIB, "device": 48 * GIB}
    ceiling = compute_ceiling(machine, tier="safe", device_name="GPU X", **given)
    made.set_ceiling(replace(ceiling, inputs={**ceiling.inputs, "backend": "cuda"}))
    return made


def text(html: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.decode())).replace("\xa0", " ")


def test_without_a_node_the_page_says_how_to_start_one(site: Client) -> None:
    assert "No node is known. Start one with" in text(site.get("/memory/").content)


def test_with_nothing_running_all_of_the_ceiling_is_free(site: Client, books: Ledger) -> None:
    shown = text(site.get("/memory/").content)
    assert "No worker runs, so nothing is promised" in shown
    assert "Nobody was refused" in shown
    assert "There are no figures of the last hour." in shown


def test_the_ceiling_is_spelled_out_with_its_numbers(site: Client, books: Ledger) -> None:
    shown = text(site.get("/memory/").content)
    assert "64.00 GiB of memory, less 12.00 GiB kept for the system and others (tier “safe”)." in shown
    assert "Workers hold 1.00 GiB, 20.00 GiB is free, and 20 % of the 8.00 GiB" in shown
    assert "GPU X takes 48.00 GiB at most." in shown
    assert "What there is now decides 22.6 GiB" in shown


def test_a_lease_shows_what_it_was_promised_holds_and_how_it_grew(site: Client, books: Ledger) -> None:
    lease = books.resize(books.reserve("engine", "qwen", 2 * GIB), 5 * GIB)
    Lease.objects.filter(pk=lease.pk).update(footprint_bytes=GIB, peak_bytes=3 * GIB)
    shown = text(site.get("/memory/").content)
    assert re.search(r"qwen engine reserved 5.0 GiB 1.0 GiB 3.0 GiB .*? UTC 2.0 GiB → 5.0 GiB", shown)


def test_what_a_gate_decided_is_shown_with_its_numbers(site: Client, books: Ledger, row: Node) -> None:
    figures = {"decision": "waited", "times": 3, "tokens": 2048}
    sizes = {"need_bytes": 4 * GIB, "bound_bytes": GIB, "lease_bytes": 3 * GIB}
    Event.objects.create(node=row, what="gate", kind="engine", holder="qwen", figures={**figures, **sizes})
    Event.objects.create(node=row, what="gate", kind="engine", holder="bge", figures={"decision": "refused"})
    shown = text(site.get("/memory/").content)
    assert re.search(r"UTC qwen had to wait 3 4.0 GiB 1.0 GiB 3.0 GiB 2048", shown)
    assert re.search(r"UTC bge refused — — — — —", shown)


def test_the_chart_is_a_table_too(site: Client, books: Ledger, row: Node) -> None:
    whole = {"lease_bytes": 2 * GIB, "ceiling_bytes": 9 * GIB}
    Sample.objects.create(node=row, footprint_bytes=7 * GIB, **whole)
    Sample.objects.create(node=row, kind="engine", holder="qwen", footprint_bytes=GIB, lease_bytes=2 * GIB)
    assert "7.0 GiB 1.0 GiB 2.0 GiB 9.0 GiB" in text(site.get("/memory/").content)


def test_the_script_gets_columns_and_marks(site: Client, books: Ledger, row: Node) -> None:
    Sample.objects.create(node=row, at=timezone.now() - timedelta(minutes=20), footprint_bytes=5)
    Sample.objects.create(node=row, kind="engine", holder="qwen", footprint_bytes=3)
    Sample.objects.create(node=row, footprint_bytes=7, ceiling_bytes=9, cap_bytes=10)
    with pytest.raises(NoRoom) as refusal:
        books.reserve("generator", "job", 40 * GIB)
    said = site.get("/memory/samples/", {"span": "5m", "node": "here"}).json()
    assert (said["machine"]["footprint"], said["ceiling"], said["cap"]) == ([7], [9], [10])
    assert [(band["holder"], band["footprint"]) for band in said["workers"]] == [("qwen", [3])]
    assert said["events"][0]["message"] == refusal.value.message
    assert site.get("/memory/samples/", {"span": "1h"}).json()["machine"]["footprint"] == [5, 7]
    assert site.get("/memory/samples/", {"node": "nowhere"}).status_code == 404


@pytest.fixture
def model(row: Node, books: Ledger, settings: Settings) -> ModelFolder:
    settings.FMLX = settings.FMLX.model_copy(update={"video_max_pixels": 10**8})
    weights = {"pipeline": "wan2.2-t2v-a14b", "resident_bytes": 4 * GIB}
    ModelFolder.objects.create(node=row, name="wan", path="/models/wan", type="video", **weights)
    return ModelFolder.objects.select_related("node").get()


@pytest.mark.parametrize(
    ("promised", "width", "told"),
    [
        (0, 832, ("It would start now.", "")),
        (18, 832, ("It would wait for memory.", "")),
        (0, 4160, ("It would be refused.", "would fit.")),
    ],
)
def test_what_would_fit_is_answered_with_the_figures_of_admission(
    site: Client, model: ModelFolder, promised: int, width: int, told: tuple[str, str]
) -> None:
    if promised:
        Ledger(model.node_id).reserve("engine", "qwen", promised * GIB)
    asked: dict[str, Any] = {
        "question": "video",
        "model": "wan",
        "width": width,
        "height": width * 480 // 832,
        "frames": 5,
    }
    wanted = f"{predict(model, width, width * 480 // 832, 5) / GIB:.2f} GiB is needed"
    for page in ("/memory/", "/memory/fit/"):
        shown = text(site.get(page, asked).content)
        assert f"here: {told[0]} {wanted}" in shown
        assert told[1] in shown
    assert Lease.objects.count() == bool(promised)  # asking takes nothing


def test_a_question_that_is_not_understood_is_answered_at_its_field(site: Client, model: ModelFolder) -> None:
    asked: dict[str, Any] = {"question": "video", "model": "gone", "width": 1, "frames": 5}
    shown = text(site.get("/memory/fit/", asked).content)
    assert "gone is not one of the available choices" in shown
    assert "greater than or equal to 16" in shown


def test_who_may_not_see_memory_sees_none(transactional_db: None) -> None:
    user = User.objects.create_user("guest", password="a long password")
    client = Client()
    for path in ("", "state/", "samples/", "fit/"):
        assert client.get(f"/memory/{path}").status_code == 302
    client.force_login(user)
    assert client.get("/memory/").status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_lease"))
    assert client.get("/memory/").status_code == 200


def test_twenty_workers_cost_no_more_queries_than_one(site: Client, books: Ledger) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert site.get("/memory/").status_code == 200
        return len(captured)

    books.reserve("engine", "first", 2**20)
    one = queries()
    for number in range(20):
        books.reserve("engine", f"qwen-{number}", 2**20)
    assert queries() == one < 16


async def test_the_socket_says_what_is_promised_and_then_every_seconds_figures(node: LocalNode) -> None:
    user = await sync_to_async(User.objects.create_superuser)("admin", password="a long password")
    client = Client()
    await sync_to_async(client.force_login)(user)
    cookie = f"fmlx_session={client.cookies['fmlx_session'].value}"
    headers = [(b"cookie", cookie.encode()), (b"origin", b"http://localhost"), (b"host", b"localhost")]
    socket = WebsocketCommunicator(application, "/ws/memory/", headers=headers)
    assert (await socket.connect(timeout=5))[0]
    snapshot = await socket.receive_json_from(timeout=5)
    assert snapshot["memory"]["nodes"]["test-node"]["bytes"] > 0
    first, second = [await socket.receive_json_from(timeout=5) for _ in range(2)]
    assert first["type"] == "tick"
    assert (first["node"], second["at"] - first["at"] in (1, 2)) == ("test-node", True)
    assert first["used"] > 0 < first["ceiling"] <= first["cap"]
    await socket.disconnect()


async def test_the_socket_is_closed_for_who_may_not_see_memory(transactional_db: None) -> None:
    socket = WebsocketCommunicator(application, "/ws/memory/", headers=[(b"origin", b"http://localhost")])
    await socket.connect(timeout=5)
    assert (await socket.receive_output(timeout=5)) == {"type": "websocket.close", "code": 4403}
