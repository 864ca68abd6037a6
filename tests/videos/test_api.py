import json

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings

from fmlx_site.audit import Origin
from inference.keys import changes
from inference.models import ApiKey, ModelFolder
from tests.openai_schema import check
from videos import jobs
from videos.models import Artifact, VideoJob

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
SHAPE = {"size": "64x64", "frames": 17, "fps": 8, "steps": 4}


@pytest.fixture
def auth(key):
    return {"Authorization": f"Bearer {key.secret}"}


@pytest.fixture
def client(client, auth):
    client.headers.update(auth)
    return client


async def make(client, **fields):
    return await client.post("/v1/videos", json={"model": "demo-video", "prompt": "a red ball", **SHAPE, **fields})


async def test_a_video_is_accepted_with_every_field_openai_requires(client, model):
    made = (await make(client, seed=7)).json()
    check("VideoResource", made)
    assert (made["status"], made["queue_position"], made["seed"]) == ("queued", 1, 7)
    assert (made["size"], made["seconds"], made["frames"]) == ("64x64", "2.125", 17)
    assert (await client.get(f"/v1/videos/{made['id']}")).json() == made


async def test_forms_are_read_as_the_sdk_sends_them(client, model):
    fields = {"model": "demo-video", "prompt": "шар 红球", "seconds": "4", "fps": "8", "size": "64x64"}
    answer = await client.post("/v1/videos", files={name: (None, value) for name, value in fields.items()})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["prompt"], answer.json()["frames"]) == ("шар 红球", 33)


async def test_a_models_own_guidance_is_used_unless_the_request_has_another(client, model):
    model.defaults = {"guidance_scale": 1.5, "flow_shift": 3.0}
    await model.asave()
    plain, asked = (await make(client)).json(), (await make(client, guidance_scale=0)).json()
    jobs_made = [await VideoJob.objects.aget(pk=made["id"]) for made in (plain, asked)]
    found = [(job.guidance_scale, job.guidance_scale_2, job.flow_shift) for job in jobs_made]
    assert found == [(1.5, None, 3.0), (0.0, None, 3.0)]


async def test_the_list_pages_by_cursor_both_ways(client, model):
    ids = [(await make(client)).json()["id"] for _ in range(5)]
    first = (await client.get("/v1/videos", params={"limit": 2})).json()
    check("VideoListResource", first)
    assert ([video["id"] for video in first["data"]], first["has_more"]) == ([ids[4], ids[3]], True)
    rest = (await client.get("/v1/videos", params={"limit": 100, "after": first["last_id"]})).json()
    assert ([video["id"] for video in rest["data"]], rest["has_more"]) == (ids[2::-1], False)
    up = (await client.get("/v1/videos", params={"order": "asc", "after": ids[2]})).json()
    assert [video["id"] for video in up["data"]] == ids[3:]


async def test_an_empty_list_has_null_ends(client, model):
    empty = (await client.get("/v1/videos")).json()
    assert (empty["data"], empty["first_id"], empty["last_id"], empty["has_more"]) == ([], None, None, False)


async def test_a_repeated_post_with_an_idempotency_key_makes_one_job(client, model):
    client.headers["Idempotency-Key"] = "once"
    first, again = await make(client), await make(client)
    assert first.json()["id"] == again.json()["id"]
    other = await make(client, prompt="something else")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_key_reused")
    assert await VideoJob.objects.acount() == 1


async def test_a_key_sees_only_its_own(client, model, operator):
    mine = (await make(client)).json()["id"]
    _, secret = await sync_to_async(ApiKey.make)("other", operator)
    client.headers["Authorization"] = f"Bearer {secret}"
    for answer in (
        await client.get(f"/v1/videos/{mine}"),
        await client.delete(f"/v1/videos/{mine}"),
        await client.post(f"/v1/videos/{mine}/cancel"),
        await client.get(f"/v1/videos/{mine}/content"),
        await client.get(f"/v1/videos/{mine}/events"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "video_not_found")
    assert (await client.get("/v1/videos")).json()["data"] == []


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer nope"}, {"X-API-Key": "nope"}, {"Authorization": "x"}]
)
async def test_no_key_or_a_wrong_one_is_401(client, model, headers):
    client.headers.pop("Authorization")
    answer = await client.get("/v1/videos", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_the_other_header_and_a_revoked_key(client, model, key):
    client.headers.pop("Authorization")
    headers = {"X-API-Key": key.secret}
    assert (await client.get("/v1/videos", headers=headers)).status_code == 200
    await sync_to_async(changes.revoke)(await ApiKey.objects.aget(), Origin())
    assert (await client.get("/v1/videos", headers=headers)).status_code == 401


BAD = [
    ({"prompt": ""}, "prompt"),
    ({"prompt": None}, "prompt"),
    ({"prompt": 5}, "prompt"),
    ({"prompt": "x" * 32_001}, "prompt"),
    ({"prompt": "a\x00b"}, "prompt"),
    ({"prompt": "\ud800"}, "prompt"),
    ({"prompt": ["x"]}, "prompt"),
    ({"size": "big"}, "size"),
    ({"size": "-1x64"}, "size"),
    ({"size": "99999x99999"}, "size"),
    ({"width": 1e400}, None),
    ({"width": True}, "width"),
    ({"width": 10**40}, "width"),
    ({"height": "tall"}, "height"),
    ({"seconds": -1}, "seconds"),
    ({"seconds": "∞"}, "seconds"),
    ({"seconds": 10**9}, "seconds"),
    ({"frames": 1.5}, "frames"),
    ({"frames": 0}, "frames"),
    ({"fps": 0}, "fps"),
    ({"steps": -4}, "steps"),
    ({"steps": 999}, "steps"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**70}, "seed"),
    ({"guidance_scale": -1}, "guidance_scale"),
    ({"guidance_scale": {}}, "guidance_scale"),
    ({"flow_shift": 0}, "flow_shift"),
    ({"negative_prompt": 7}, "negative_prompt"),
    ({"model": ""}, "model"),
    ({"model": "../../etc/passwd"}, "model"),
    ({"model": 7}, "model"),
    ({"input_reference": "data:image/png;base64,AAAA"}, "input_reference"),
    ({"characters": []}, "characters"),
]


@pytest.mark.parametrize(("fields", "param"), BAD)
async def test_a_bad_field_is_refused_by_its_name_and_leaves_nothing(client, model, fields, param):
    body = json.dumps({"model": "demo-video", "prompt": "x", **SHAPE, **fields})
    answer = await client.post("/v1/videos", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert param is None or error["param"] == param
    assert not await VideoJob.objects.aexists()


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"prompt": NaN}', "application/json", 400),
        (b'{"prompt": "\xff\xfe"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"seed": ' + b"9" * 10_000 + b"}", "application/json", 400),
        (b"prompt=x", "text/plain", 415),
        (b"--b\r\nbroken", "multipart/form-data; boundary=b", 400),
        (b"--b--\r\n", "multipart/form-data", 400),
        (
            b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n\xff\r\n--b--\r\n',
            "multipart/form-data; boundary=b",
            400,
        ),
        (b"prompt=%ff", "application/x-www-form-urlencoded", 400),
        (b"prompt=a&prompt=b", "application/x-www-form-urlencoded", 400),
    ],
)
async def test_a_broken_body_is_4xx_in_the_right_shape(client, model, content, kind, status):
    answer = await client.post("/v1/videos", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]
    assert not await VideoJob.objects.aexists()


async def test_an_oversized_body_is_413_before_it_is_stored(client, model, settings):
    settings.FMLX = settings.FMLX.model_copy(update={"body_max_bytes": 2000})
    answer = await make(client, prompt="x" * 4000)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


async def test_an_unknown_model_names_its_neighbours_and_a_chat_model_its_type(client, model, node):
    answer = await make(client, model="demo-vido")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert "demo-video" in answer.json()["error"]["message"]
    await ModelFolder.objects.acreate(node=node, name="llama", path="/x", type="chat")
    answer = await make(client, model="llama")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "wrong_model_type")


async def test_without_a_model_a_real_one_is_used_before_a_demo(client, model, node, tmp_path):
    facts = {"type": "video", "pipeline": "wan2.2-t2v-a14b", "resident_bytes": 2**20}
    await ModelFolder.objects.acreate(node=node, name="a-demo", path=f"{tmp_path}/demo", rank=-1, **facts)
    answer = await client.post("/v1/videos", json={"prompt": "x", **SHAPE})
    assert answer.json()["model"] == "demo-video"


async def test_what_can_never_fit_is_413_with_the_largest_that_would(client, model, node):
    node.largest_bytes = 4 * 2**30
    await node.asave()
    answer = await make(client, size="1280x720")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (413, "too_large_for_memory", "size")
    fits = error["message"].split()[-3]
    assert (await make(client, size=fits)).status_code == 200


async def test_a_full_disk_refuses_new_jobs(client, model, settings):
    settings.FMLX = settings.FMLX.model_copy(update={"disk_floor_bytes": 2**60})
    answer = await make(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
    assert not await VideoJob.objects.aexists()


async def finished(job_id, node, files):
    job = await sync_to_async(jobs.claim)(await VideoJob.objects.aget(pk=job_id), node.pk)
    for variant, data in files.items():
        path = settings.FMLX.artifacts / job_id / f"{variant}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        relative = str(path.relative_to(settings.FMLX.artifacts))
        facts = {"bytes": len(data), "sha256": variant, "media_type": "video/mp4"}
        await Artifact.objects.acreate(job=job, variant=variant, path=relative, **facts)
    return await sync_to_async(jobs.finish)(job_id, job.fence, expires_at="2030-01-01T00:00Z")


async def test_content_is_409_before_206_when_done_and_404_when_purged(client, model, node):
    job_id = (await make(client)).json()["id"]
    url = f"/v1/videos/{job_id}/content"
    assert (await client.get(url)).json()["error"]["code"] == "video_not_ready"
    await finished(job_id, node, {"video": b"0123456789"})
    assert (await client.get(url)).content == b"0123456789"
    part = await client.get(url, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert (await client.get(url, headers={"Range": "bytes=99-"})).status_code == 416
    head = await client.head(url)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "10", b"")
    assert (await client.get(url, params={"variant": "thumbnail"})).status_code == 404
    assert (await client.get(url, params={"variant": "soundtrack"})).json()["error"]["param"] == "variant"
    await Artifact.objects.aupdate(purged_at="2026-11-01T00:00Z")
    gone = await client.get(url)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "artifact_expired")


async def test_deleting_takes_row_and_files_in_any_state(client, model, node):
    job_id = (await make(client)).json()["id"]
    await finished(job_id, node, {"video": b"x"})
    answer = await client.delete(f"/v1/videos/{job_id}")
    check("DeletedVideoResource", answer.json())
    assert not (settings.FMLX.artifacts / job_id).exists()
    assert (await client.get(f"/v1/videos/{job_id}")).status_code == 404
    queued = (await make(client)).json()["id"]
    assert (await client.delete(f"/v1/videos/{queued}")).status_code == 200


async def test_a_paused_video_is_queued_for_openai_and_paused_for_us(client, model):
    first, second = [(await make(client)).json()["id"] for _ in range(2)]
    paused = (await client.post(f"/v1/videos/{first}/pause")).json()
    check("VideoResource", paused)
    assert (paused["status"], paused["phase"], paused["paused"], paused["queue_position"]) == (
        ("queued", "paused", True, None)
    )
    assert (await client.get(f"/v1/videos/{second}")).json()["queue_position"] == 1
    assert (await client.post(f"/v1/videos/{first}/pause")).json() == paused
    resumed = (await client.post(f"/v1/videos/{first}/resume")).json()
    assert (resumed["paused"], resumed["queue_position"], resumed["waiting_reason"]) == (False, 1, None)
    assert (await client.post(f"/v1/videos/{first}/resume")).json() == resumed
    await client.post(f"/v1/videos/{first}/pause")
    assert (await client.post(f"/v1/videos/{first}/cancel")).json()["paused"] is False
    for action in ("pause", "resume"):
        refused = await client.post(f"/v1/videos/{first}/{action}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "video_already_finished")
        assert (await client.post(f"/v1/videos/video_0/{action}")).status_code == 404


async def test_cancelling_ends_as_failed_and_only_once(client, model):
    job_id = (await make(client)).json()["id"]
    cancelled = (await client.post(f"/v1/videos/{job_id}/cancel")).json()
    check("VideoResource", cancelled)
    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "cancelled")
    assert (await client.post(f"/v1/videos/{job_id}/cancel")).status_code == 409


async def test_events_begin_with_a_snapshot_and_end_with_the_end(client, model):
    job_id = (await make(client)).json()["id"]
    await client.post(f"/v1/videos/{job_id}/cancel")
    answer = await client.get(f"/v1/videos/{job_id}/events")
    assert answer.headers["Content-Type"] == "text/event-stream"
    name, number, data = answer.text.strip().splitlines()
    assert (name, number) == ("event: video.finished", "id: 1")
    check("VideoResource", json.loads(data.removeprefix("data: ")))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/videos", 405),
        ("GET", "/v1/videos?limit=0", 400),
        ("GET", "/v1/videos?limit=x", 400),
        ("GET", "/v1/videos?after=x", 400),
        ("GET", "/v1/videos?order=up", 400),
        ("GET", "/v1/videos/%ff", 404),
    ],
)
async def test_every_error_is_openais_object(client, model, method, path, status):
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


async def test_models_and_memory(client, model, node):
    models = (await client.get("/v1/models")).json()
    check("ListModelsResponse", models)
    assert [one["id"] for one in models["data"]] == ["demo-video"]
    check("Model", (await client.get("/v1/models/demo-video")).json())
    assert (await client.get("/v1/models/org/none")).json()["error"]["code"] == "model_not_found"
    memory = (await client.get("/v1/memory")).json()
    assert memory["ceiling"]["bytes"] == node.ceiling_bytes
    assert memory["leases"] == []


async def test_the_document_and_its_page_are_there(client):
    document = (await client.get("/v1/openapi.json")).json()
    assert {"/v1/videos", "/v1/models", "/v1/memory"} <= set(document["paths"])
    page = await client.get("/v1/docs")
    assert page.status_code == 200
    assert "//cdn" not in page.text
