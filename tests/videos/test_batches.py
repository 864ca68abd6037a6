"""Several videos at once: all or none, with one status."""

import json

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings

from fmlx_site.audit import Origin
from inference.keys import changes
from inference.models import ApiKey
from tests.openai_schema import check
from videos import jobs
from videos.models import VideoBatch, VideoJob

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
BODY = {"model": "demo-video", "prompt": "a red ball", "size": "64x64", "frames": 17, "fps": 8, "steps": 4}


@pytest.fixture
def client(client, key):
    client.headers["Authorization"] = f"Bearer {key.secret}"
    return client


@pytest.fixture
def small(settings):
    """A queue of three."""
    settings.FMLX = settings.FMLX.model_copy(update={"video_max_queued": 3})


async def upload(client, *lines, **fields):
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return await client.post("/v1/videos/batches", files={"file": ("b.jsonl", text.encode())}, data=fields)


def line(custom_id, **fields):
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/videos", "body": {**BODY, **fields}}


async def test_n_makes_siblings_with_seeds_that_follow_one_another(client, model):
    made = (await client.post("/v1/videos", json={**BODY, "n": 3, "seed": 2**32 - 2})).json()
    check("VideoResource", made)
    siblings = [job async for job in VideoJob.objects.order_by("created_at")]
    assert [job.seed for job in siblings] == [2**32 - 2, 2**32 - 1, 0]
    assert siblings[0].pk == made["id"]
    batch = (await client.get(f"/v1/videos/batches/{made['batch_id']}")).json()
    assert (batch["status"], batch["request_counts"]) == ("in_progress", {"total": 3, "completed": 0, "failed": 0})
    for wrong in (0, 17, True, "x"):
        assert (await client.post("/v1/videos", json={**BODY, "n": wrong})).json()["error"]["param"] == "n"


async def test_a_repeated_post_makes_the_siblings_once(client, model):
    client.headers["Idempotency-Key"] = "once"
    first, again = [(await client.post("/v1/videos", json={**BODY, "n": 2})).json() for _ in range(2)]
    assert (first["id"], await VideoJob.objects.acount(), await VideoBatch.objects.acount()) == (again["id"], 2, 1)


async def test_siblings_are_accepted_all_or_none(client, model, small):
    assert (await client.post("/v1/videos", json={**BODY, "n": 2})).status_code == 200
    refused = await client.post("/v1/videos", json={**BODY, "n": 2})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
    assert (await VideoJob.objects.acount(), await VideoBatch.objects.acount()) == (2, 1)


async def test_a_file_of_requests_is_one_batch_with_one_status(client, model, node):
    made = await upload(
        client, line("a"), "", line("b", n=2), {**BODY, "prompt": "its body alone"}, endpoint="/v1/videos"
    )
    assert made.status_code == 200, made.text
    url = f"/v1/videos/batches/{made.json()['id']}"
    assert (await client.get("/v1/videos/batches")).json()["data"] == [(await client.get(url)).json()]
    first, *others = [job async for job in VideoJob.objects.order_by("created_at")]
    assert [job.custom_id for job in (first, *others)] == ["a", "b", "b", "4"]
    await sync_to_async(jobs.fail)(first.pk, first.fence, "worker_error", "It broke.")
    counts = (await client.get(url)).json()
    assert (counts["status"], counts["request_counts"]) == ("in_progress", {"total": 4, "completed": 0, "failed": 1})
    cancelled = (await client.post(f"{url}/cancel")).json()
    assert (cancelled["status"], cancelled["request_counts"]["failed"]) == ("cancelled", 4)
    lines = [json.loads(text) for text in (await client.get(f"{url}/output")).text.splitlines()]
    assert [one["error"]["code"] for one in lines] == ["worker_error", "cancelled", "cancelled", "cancelled"]
    assert lines[0]["response"]["body"]["id"] == first.pk


WRONG = [
    (["{"], "Line 1"),
    ([line("a"), "[1]"], "Line 2"),
    ([line("a"), line("a")], "twice"),
    ([line("a", steps="many")], "Line 1: steps"),
    ([line("a"), line("b", size="9000x9000")], "Line 2"),
    ([{**line("a"), "url": "/v1/chat/completions"}], "Line 1: url"),
    ([{**line("a"), "method": "GET"}], "not with GET"),
    ([{**line("a"), "custom_id": 5}], "custom_id"),
    ([{**line("a"), "more": 5}], "more"),
    ([{"custom_id": "a", "body": 5}], "Line 1: body"),
    ([""], "no request"),
    ([line("a"), line("b", model="nobody")], "Line 2"),
    ([line(str(number), prompt="x") for number in range(1001)], "more than 1000"),
]


@pytest.mark.parametrize(("lines", "said"), WRONG)
async def test_what_is_wrong_is_named_by_its_line_and_nothing_is_left(client, model, lines, said):
    answer = await upload(client, *lines)
    assert answer.status_code in (400, 404), answer.text
    assert said in answer.json()["error"]["message"]
    assert answer.json()["error"]["param"] == "file"
    assert (await VideoJob.objects.acount(), await VideoBatch.objects.acount()) == (0, 0)


async def test_a_file_that_does_not_fit_the_queue_is_refused_whole(client, model, small):
    assert (await upload(client, *(line(str(number)) for number in range(4)))).status_code == 429
    assert (await VideoJob.objects.acount(), await VideoBatch.objects.acount()) == (0, 0)
    assert settings.FMLX.video_max_queued == 3


async def test_what_is_no_file_is_refused_and_a_batch_is_its_keys_own(client, model, operator):
    for refused in (
        await client.post("/v1/videos/batches", json={"file": "x"}),
        await client.post("/v1/videos/batches", files={"file": (None, "x")}),
        await client.post("/v1/videos/batches", files={"other": ("b", b"x")}),
    ):
        assert refused.status_code == 400
    made = (await upload(client, line("a"))).json()
    _, secret = await sync_to_async(ApiKey.make)("other", operator)
    client.headers["Authorization"] = f"Bearer {secret}"
    for way in ("", "/output"):
        answer = await client.get(f"/v1/videos/batches/{made['id']}{way}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "batch_not_found")
    assert (await client.post(f"/v1/videos/batches/{made['id']}/cancel")).status_code == 404


async def test_videos_of_a_key_with_priority_go_first(client, model, operator, node):
    await client.post("/v1/videos", json=BODY)
    urgent, secret = await sync_to_async(ApiKey.make)("urgent", operator)
    await sync_to_async(changes.change)(urgent, Origin(), priority=10)
    headers = {"Authorization": f"Bearer {secret}"}
    made = (await client.post("/v1/videos", json=BODY, headers=headers)).json()
    assert made["queue_position"] == 1
    first = await sync_to_async(lambda: jobs.candidates(node.pk, 1).get())()
    assert first.pk == made["id"]
