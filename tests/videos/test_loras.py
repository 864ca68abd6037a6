"""LoRAs in a request: by name, from the LoRA folders and nowhere else."""

import json

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings

from videos import loras, presets
from videos.models import VideoJob

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
BODY = {"model": "demo-video", "prompt": "a red ball", "size": "64x64", "frames": 17, "steps": 4}


@pytest.fixture
def client(client, key):
    client.headers["Authorization"] = f"Bearer {key.secret}"
    return client


@pytest.fixture
def folder(tmp_path, settings):
    """A LoRA for both experts, one with a file for each that brings a preset, and what is none."""
    settings.FMLX = django_settings.FMLX.model_copy(update={"home": tmp_path, "model_dirs": []})
    made = tmp_path / "loras"
    (made / "lightning").mkdir(parents=True)
    for name in ("sketch.safetensors", "lightning/high_noise.safetensors", "lightning/low_noise.safetensors"):
        (made / name).write_bytes(b"x" * 1000)
    values = {"steps": 4, "guidance_scale": 1.0, "guidance_scale_2": 1.0, "boundary_ratio": 0.9}
    told = {"presets": {"4-step": {"pipeline": "wan2.2-t2v-a14b", **values}, "other": {"pipeline": "x", "steps": 1}}}
    (made / "lightning" / "fmlx.json").write_text(json.dumps(told))
    (made / "empty").mkdir()
    (made / "notes.txt").touch()
    (tmp_path / "secret.safetensors").touch()
    return made


async def test_they_are_listed_and_kept_with_the_job_by_name_and_strength(client, model, folder):
    listed = (await client.get("/v1/videos/loras")).json()["data"]
    assert [(one["name"], one["bytes"], one["experts"]) for one in listed] == [
        ("lightning", 2000, ["high", "low"]),
        ("sketch", 2000, ["high", "low"]),
    ]
    asked = [{"name": "sketch", "strength": 0.5, "strength_low": 0}, {"name": "lightning", "strength_high": 1.5}]
    made = (await client.post("/v1/videos", json={**BODY, "loras": asked})).json()
    kept = [{"name": "sketch", "high": 0.5, "low": 0}, {"name": "lightning", "high": 1.5, "low": 1}]
    assert made["loras"] == kept
    job = await VideoJob.objects.aget()
    spec = await sync_to_async(loras.for_worker)(job.loras)
    assert [(one["expert"], one["strength"], one["path"].removeprefix(str(folder))) for one in spec] == [
        ("transformer", 0.5, "/sketch.safetensors"),
        ("transformer", 1.5, "/lightning/high_noise.safetensors"),
        ("transformer_2", 1.0, "/lightning/low_noise.safetensors"),
    ]
    form = {**{name: (None, str(value)) for name, value in BODY.items()}, "loras": (None, json.dumps(asked))}
    assert (await client.post("/v1/videos", files=form)).json()["loras"] == kept


async def test_a_preset_that_a_lora_brings_has_its_steps_and_boundary(client, model, folder):
    assert "other" not in await sync_to_async(presets.all_of)(model)
    body = {"model": "demo-video", "prompt": "a red ball", "preset": "4-step"}
    made = (await client.post("/v1/videos", json=body)).json()
    assert (made["steps"], made["boundary_ratio"], made["guidance_scale_2"]) == (4, 0.9, 1.0)
    assert [one["name"] for one in made["loras"]] == ["lightning"]
    assert (await client.post("/v1/videos", json={**body, "loras": []})).json()["loras"] == []


WRONG = [
    "sketch",
    {"name": "sketch"},
    [{"name": "../secret"}],
    [{"name": "secret"}],
    [{"name": "/etc/passwd"}],
    [{"name": "empty"}],
    [{"name": "sketch", "path": "/x"}],
    [{"name": "sketch", "strength": 5}],
    [{"name": "sketch", "strength": float("1e300")}],
    [{"name": "sketch"}] * 2,
    [{"name": "sketch"}] * 9,
    [{"strength": 1}],
    "[" * 2000,
]


@pytest.mark.parametrize("asked", WRONG)
async def test_what_is_no_lora_of_this_server_is_refused(client, model, folder, asked):
    answer = await client.post("/v1/videos", json={**BODY, "loras": asked})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"].startswith("loras")
    assert not await VideoJob.objects.aexists()


async def test_a_model_of_one_expert_has_no_second_strength(client, model, folder):
    model.pipeline = "wan2.2-ti2v-5b"
    await model.asave()
    asked = [{"name": "sketch", "strength_low": 1}]
    for field in ({"loras": asked}, {"boundary_ratio": 0.5}):
        answer = await client.post("/v1/videos", json={**BODY, **field})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, *field)
    made = (await client.post("/v1/videos", json={**BODY, "loras": [{"name": "sketch"}]})).json()
    assert made["loras"] == [{"name": "sketch", "high": 1, "low": 0}]


async def test_a_remix_counts_the_memory_of_its_loras_again(client, model, folder, make_job, key):
    kept = [{"name": "sketch", "high": 1, "low": 1}]
    source = await sync_to_async(make_job)(key=key, status="completed", loras=kept)
    with (folder / "sketch.safetensors").open("wb") as grown:
        grown.truncate(2**40)  # it takes no disk
    answer = await client.post(f"/v1/videos/{source.pk}/remix", json={"prompt": "a blue ball"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large_for_memory"), answer.text
