"""Presets, and what is predicted of a video before it is made."""

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from fmlx_site.audit import Origin
from fmlx_site.models import Change
from videos import jobs, pace, presets
from videos.models import Attempt, Preset, VideoJob

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
NAMES = ["draft", "quick", "portrait", "square", "480p", "720p"]


@pytest.fixture
def client(client, key):
    client.headers["Authorization"] = f"Bearer {key.secret}"
    return client


@pytest.fixture
def ran(make_job, node):
    """Clips that were made, with the seconds of their phases."""

    def run(**fields):
        seconds = fields.pop("seconds")
        job = jobs.claim(make_job(**fields), node.pk)
        facts = {"outcome": "completed", "manifest": {"phase_seconds": seconds}, "ended_at": timezone.now()}
        Attempt.objects.create(job=job, number=1, fence=job.fence, node=node, lease_bytes=1, **facts)
        return jobs.finish(job.pk, job.fence, expires_at=timezone.now())

    return run


async def test_every_model_has_presets_with_what_they_take(client, model):
    found = (await client.get("/v1/videos/presets")).json()["data"]
    assert [one["name"] for one in found] == NAMES
    by_name = {one["name"]: one for one in found}
    assert (by_name["draft"]["size"], by_name["draft"]["frames"], by_name["draft"]["steps"]) == ("416x240", 33, 12)
    assert (by_name["portrait"]["size"], by_name["square"]["size"]) == ("480x832", "624x624")
    assert by_name["720p"]["predicted_memory_bytes"] > by_name["480p"]["predicted_memory_bytes"] > 0
    assert by_name["480p"]["predicted_seconds"] is None
    assert (await client.get("/v1/videos/presets", params={"model": "nobody"})).status_code == 404


async def test_a_preset_fills_in_what_a_request_leaves_open(client, model):
    asked = {"model": "demo-video", "prompt": "a red ball", "preset": "draft", "steps": 7}
    made = (await client.post("/v1/videos", json=asked)).json()
    assert (made["preset"], made["size"], made["frames"], made["steps"]) == ("draft", "416x240", 33, 7)
    answer = await client.post("/v1/videos", json={**asked, "preset": "cinema"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "preset")
    assert "draft" in answer.json()["error"]["message"]
    assert await VideoJob.objects.acount() == 1


def test_a_demos_presets_are_as_small_as_it_is(model):
    model.rank, model.defaults = -2, {"size": "64x64", "frames": 17, "fps": 8, "steps": 4}
    found = presets.built_in(model, {})
    assert found["draft"] == {"size": "32x32", "frames": 9, "steps": 1}
    assert found["portrait"] == {"size": "48x80"}
    assert "720p" not in found


def test_operators_change_presets_on_their_page_with_a_line_in_the_audit_trail(operator, model):
    site = Client()
    site.force_login(operator)
    page = "/videos/presets/demo-video/"
    assert b"Draft" in site.get("/videos/presets/").content
    assert b"limit of 100" in site.post(page, {"name": "draft", "steps": 500}).content
    assert b"A preset sets something" in site.post(page, {"name": "draft"}).content
    assert not Preset.objects.exists()
    site.post(page, {"name": "draft", "steps": 3, "size": "64x64"})
    assert presets.all_of(model)["draft"] == {"steps": 3, "size": "64x64"}
    site.post(f"{page}?name=draft", {"name": "draft", "reset": "1"})
    assert presets.all_of(model)["draft"]["steps"] == 12
    names = list(Change.objects.filter(name="demo-video").values_list("new", flat=True))
    assert [list(new) for new in names] == [["preset draft"]] * 2
    viewer = User.objects.create_user("viewer", password="a long password")
    viewer.user_permissions.add(Permission.objects.get(codename="view_videojob"))
    site.force_login(viewer)
    assert site.get("/videos/presets/").status_code == 200
    assert site.post(page, {"name": "draft", "steps": 3}).status_code == 403


def test_the_form_says_what_the_video_would_take(operator, model, ran):
    site = Client()
    site.force_login(operator)
    asked = {"token": "x", "model": "demo-video", "preset": "draft"}
    shown = site.get("/videos/estimate/", asked).content.decode()
    assert "416 × 240" in shown
    assert "when the first one is made" in shown
    ran(width=416, height=240, frames=33, steps=12, seconds={"denoising": 100.0, "decoding": 20.0})
    assert "2 min" in site.get("/videos/estimate/", {**asked, "n": 2}).content.decode()
    presets.change(model, "cinema", {"size": "9000x9000"}, Origin())
    assert "above this server" in site.get("/videos/estimate/", {**asked, "preset": "cinema"}).content.decode()


def test_time_is_learned_from_what_the_model_made(ran):
    shape = {"width": 64, "height": 64, "frames": 17, "steps": 4}
    assert pace.expected("demo-video", **shape) == {}
    ran(**shape, seconds={"loading": 5.0, "denoising": 8.0, "decoding": 2.0})
    assert pace.expected("demo-video", **shape) == {"loading": 5.0, "denoising": 8.0, "decoding": 2.0}
    longer = pace.expected("demo-video", **{**shape, "steps": 40})
    assert longer == {"loading": 5.0, "denoising": pytest.approx(80.0), "decoding": 2.0}
    ran(**{**shape, "width": 128}, seconds={"loading": 5.0, "denoising": 8.0 * 2**1.5, "decoding": 4.0})
    assert pace.power_of(pace.runs_of("demo-video")) == pytest.approx(1.5)
    larger = pace.expected("demo-video", **{**shape, "width": 128, "height": 128})
    assert larger["denoising"] == pytest.approx(8.0 * 4**1.5)
    assert larger["decoding"] == pytest.approx(8.0)


async def test_polling_is_told_when_to_ask_again(client, make_job, key, node):
    job = await sync_to_async(make_job)(key=key)
    answer = await client.get(f"/v1/videos/{job.pk}")
    assert (answer.headers["retry-after"], answer.headers["openai-poll-after-ms"]) == ("3", "3000")
    job = await sync_to_async(jobs.claim)(job, node.pk)
    for eta, seconds in ((4.0, "1"), (85.0, "9"), (4000.0, "30")):
        await sync_to_async(jobs.report)(job.pk, job.fence, eta_seconds=eta)
        assert (await client.get(f"/v1/videos/{job.pk}")).headers["retry-after"] == seconds
    await sync_to_async(jobs.cancel)(job)
    assert "retry-after" not in (await client.get(f"/v1/videos/{job.pk}")).headers
