"""One refusal, told in five places: each says the same sentence or the same figures."""

import re

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from inference.models import ModelFolder
from memory import NeverFits, NoRoom, gib
from memory.ceiling import GIB, Ceiling
from memory.ledger import Ledger
from memory.models import Event, Node
from videos.dispatch import Dispatcher
from videos.predictor import built_in

pytestmark = pytest.mark.django_db(transaction=True)


class Here:
    """As much of a node as choosing a job takes: its row and its ledger, which are real."""

    def __init__(self, row, ledger):
        self.row, self.ledger = row, ledger


def page(operator, path):
    client = Client()
    client.force_login(operator)
    return client.get(path).content.decode()


def figures_in(sentence):
    return re.findall(r"[\d.]+ GiB", sentence)


async def metrics(client):
    lines = (await client.get("/metrics")).text.splitlines()
    found = [line for line in lines if line.startswith("fmlx_memory_last_refusal_bytes{")]
    return {re.search(r'figure="(\w+)"', line)[1]: int(float(line.split()[-1])) for line in found}


@pytest.fixture
def ledger(node):
    made = Ledger(node.pk)
    made.set_ceiling(Ceiling(static=16 * GIB, dynamic=12 * GIB))
    return made


@pytest.fixture
def api(client, key):
    client.headers["Authorization"] = f"Bearer {key.secret}"
    return client


@pytest.fixture
def job(key, make_job, settings, tmp_path):
    """A job of this key's, on a node whose runtime is built."""
    settings.FMLX = settings.FMLX.model_copy(update={"home": tmp_path, "video_max_pixels": 10**9})
    python = tmp_path / "runtimes" / "mlx-gen" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    return make_job(key=key)


async def test_a_job_that_waits_for_memory(api, operator, ledger, job, caplog):
    node = await Node.objects.aget()
    model = await ModelFolder.objects.select_related("node").aget()
    wanted = built_in(model).peak(job.width, job.height, job.frames)
    promised = 12 * GIB - wanted + 3 * 2**20
    await sync_to_async(ledger.reserve)("engine", "qwen", promised)
    with caplog.at_level("INFO"):
        await sync_to_async(Dispatcher(Here(node, ledger))._choose)()
    sentence = NoRoom(wanted=wanted, leased=promised, ceiling=12 * GIB).message
    assert figures_in(sentence) == [gib(wanted, 3), gib(12 * GIB - promised, 3), "12.000 GiB"]  # they differ by 3 MiB
    sentence = f"{sentence} Held by engine qwen ({gib(promised)})."

    await job.arefresh_from_db()
    assert job.waiting_reason == sentence
    assert (await api.get(f"/v1/videos/{job.pk}")).json()["waiting_reason"] == sentence
    for path in ("/videos/", "/memory/"):
        shown = await sync_to_async(page)(operator, path)
        assert all(f"{part}." in shown for part in sentence.removesuffix(".").split(". "))
    logged = [
        record.msg
        for record in caplog.records
        if isinstance(record.msg, dict) and record.msg.get("event") == "lease_refused"
    ]
    assert [line["message"] for line in logged] == [sentence]
    (event,) = (await api.get("/v1/memory/events", params={"what": "refused"})).json()["data"]
    assert (event["holder"], event["message"]) == (job.pk, sentence)
    figures = {"wanted": wanted, "leased": promised, "ceiling": 12 * GIB}
    assert {name: event["figures"][name] for name in figures} == figures
    assert {name: logged[0][name] for name in figures} == figures
    assert await metrics(api) == figures


async def test_a_video_that_can_never_fit(api, operator, ledger, job, caplog):
    model = await ModelFolder.objects.select_related("node").aget()
    asked = {"model": model.name, "prompt": "a red ball", "size": "4096x4096"}
    with caplog.at_level("INFO"):
        answer = await api.post("/v1/videos", json=asked)
    error = answer.json()["error"]
    wanted = built_in(model).peak(4096, 4096, 81)
    assert (answer.status_code, error["code"], error["param"]) == (413, NeverFits.code, "size")
    assert figures_in(error["message"]) == [gib(wanted), "16.00 GiB"]
    logged = [
        record.msg
        for record in caplog.records
        if isinstance(record.msg, dict) and record.msg.get("event") == "lease_refused"
    ]
    assert [(line["message"], line["wanted"], line["ceiling"]) for line in logged] == [
        (error["message"], wanted, 16 * GIB)
    ]
    event = await Event.objects.aget(what="refused")
    assert (event.message, event.figures["wanted"], event.figures["ceiling"]) == (error["message"], wanted, 16 * GIB)
    assert await metrics(api) == {"wanted": wanted, "ceiling": 16 * GIB}
    assert error["message"] in await sync_to_async(page)(operator, "/memory/")


async def test_a_video_for_which_pinned_models_leave_too_little(api, operator, ledger, job, caplog):
    model = await ModelFolder.objects.select_related("node").aget()
    wanted, pinned = built_in(model).peak(job.width, job.height, job.frames), 16 * GIB - 2**30
    await sync_to_async(ledger.set_ceiling)(Ceiling(static=16 * GIB))
    await sync_to_async(ledger.reserve)("engine", "qwen", pinned, pinned=True)
    asked = {"model": model.name, "prompt": "a red ball", "size": "64x64", "frames": 17}
    answer = await api.post("/v1/videos", json=asked)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (507, "memory_pinned")
    assert figures_in(error["message"]) == [gib(wanted), gib(pinned), "16.00 GiB"]
    figures = {"wanted": wanted, "leased": pinned, "ceiling": 16 * GIB}
    assert await metrics(api) == figures
    assert error["message"] in await sync_to_async(page)(operator, "/memory/")

    await sync_to_async(Dispatcher(Here(await Node.objects.aget(), ledger))._choose)()  # one that waited before that
    await job.arefresh_from_db()
    assert (job.status, job.error_code, job.error_message) == ("failed", "memory_pinned", error["message"])
