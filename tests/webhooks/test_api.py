"""Webhooks over the API and on their pages."""

import re

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import Client

from fmlx_site.models import Change
from inference.models import ApiKey
from videos import jobs
from webhooks.models import Delivery, Endpoint

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]


@pytest.fixture
def client(client, key):
    client.headers["Authorization"] = f"Bearer {key.secret}"
    return client


async def test_a_webhook_from_its_making_to_its_end(client, make_job, operator):
    made = (await client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/x"})).json()
    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["batch.cancelled", "batch.completed", "video.completed", "video.failed"]
    url = f"/v1/webhooks/{made['id']}"
    assert (await client.get("/v1/webhooks")).json()["data"] == [(await client.get(url)).json()]
    assert (await client.get(url)).json() == {**made, "secret": None}
    job = await sync_to_async(make_job)()
    await sync_to_async(jobs.cancel)(job)
    tested = (await client.post(f"{url}/test")).json()
    log = (await client.get(f"{url}/deliveries")).json()
    assert [one["type"] for one in log["data"]] == ["webhook.test", "video.failed"]
    assert (log["data"][0], log["has_more"]) == (tested, False)
    rest = (await client.get(f"{url}/deliveries", params={"after": tested["id"]})).json()["data"]
    assert [(one["subject"], one["status"], one["tries"]) for one in rest] == [(job.pk, "pending", [])]
    replay = f"{url}/deliveries/{tested['id']}/replay"
    assert (await client.post(replay)).json()["error"]["code"] == "delivery_pending"
    await Delivery.objects.aupdate(state="given_up")
    assert (await client.post(replay)).json()["status"] == "pending"
    renewed = (await client.post(f"{url}/secret")).json()["secret"]
    assert renewed.startswith("whsec_")
    assert renewed != made["secret"]
    _, secret = await sync_to_async(ApiKey.make)("other", operator)
    other = {"Authorization": f"Bearer {secret}"}
    for answer in (await client.get(url, headers=other), await client.delete(url, headers=other)):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "webhook_not_found")
    assert (await client.get("/v1/webhooks", headers=other)).json()["data"] == []
    assert (await client.delete(url)).json()["deleted"] is True
    assert not await Endpoint.objects.aexists()
    assert await Change.objects.filter(what="key", new__has_key="webhook").acount() == 3


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "url"),
        ({"url": 5}, "url"),
        ({"url": "ftp://x"}, "url"),
        ({"url": "http://x", "events": []}, "events"),
        ({"url": "http://x", "events": ["video.exploded"]}, "events"),
        ({"url": "http://x", "more": 1}, "more"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_left(client, body, param):
    answer = await client.post("/v1/webhooks", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert not await Endpoint.objects.aexists()


async def test_a_key_has_so_many_and_not_more(client):
    for _ in range(16):
        assert (await client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/"})).status_code == 200
    answer = await client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "too_many_webhooks")


def test_the_pages_make_show_replay_and_remove(operator, key):
    site = Client()
    site.force_login(operator)
    form = {"key": key.pk, "url": "http://127.0.0.1:9/x", "events": ["video.failed"]}
    refused = site.post("/webhooks/", {**form, "url": "http://169.254.169.254/"}).content.decode()
    assert "link-local" in refused
    made = site.post("/webhooks/", form)
    assert re.search(r'id="secret" class="id">whsec_[\w+/=]+<', made.content.decode())
    endpoint = Endpoint.objects.get()
    page = f"/webhooks/{endpoint.pk}/"
    assert b"on its way" in site.post(f"{page}test/", follow=True).content
    Delivery.objects.update(state="given_up")
    event = Delivery.objects.get().event_id
    assert b"1 given up" in site.get("/webhooks/").content
    assert b"sent once more" in site.post(f"{page}replay/{event}/", follow=True).content
    assert Delivery.objects.get().state == "pending"
    stranger = Client()
    stranger.force_login(User.objects.create_user("stranger", password="a long password"))
    assert b"127.0.0.1:9" not in stranger.get("/webhooks/").content
    for way in ("", "test/", "remove/", "secret/", f"replay/{event}/"):
        assert stranger.post(page + way).status_code in (404, 405)
    assert b"Remove this webhook?" in site.get(f"{page}remove/").content
    site.post(f"{page}remove/")
    assert not Endpoint.objects.exists()
