"""Making a video larger on a real node, with workers in threads: what is asked, kept and said when it does not go."""

from pathlib import Path

import pytest
from asgiref.sync import sync_to_async

from inference.models import ModelFolder
from memory.protocol import WorkerFailed
from tests.helpers import await_for
from tests.videos.test_dispatch import dispatching, draws, ended, folder, no_lease, told
from videos import jobs, pace, upscalers
from videos.models import VideoJob
from videos.predictor import built_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
BODY = {"model": "demo-video", "prompt": "a red ball", "size": "64x64", "frames": 17, "steps": 4}
SIZES = {"inner_dim": 128, "heads": 1, "vae_width": 32}


@pytest.fixture
def upscaler(node, tmp_path):
    facts = {"type": "upscale", "pipeline": "seedvr2-3b", "resident_bytes": 2**20, "sizes": SIZES}
    return ModelFolder.objects.create(node=node, name="larger", path=f"{tmp_path}/larger", **facts)


class Workers:
    """Draws the raw video, and does `work` when it is to be made larger. `specs` are what they were sent."""

    def __init__(self, work):
        self.work, self.specs = work, []

    def __call__(self, channel, spec):
        self.specs.append(spec)
        if spec["step"] == "upscale":
            return self.work(channel, spec)
        return draws(channel, spec) | {"raw": [{"name": "frames-abc", "first": 0, "end": 17}]}


def enlarges(channel, spec):
    channel.event("upscaling", step=1, total_steps=1)
    Path(spec["output_dir"], "upscaled.mp4").write_bytes(b"larger frames")
    file = {"name": "upscaled.mp4", "bytes": 13, "sha256": "y", "media_type": "video/mp4"}
    return {"files": {"upscaled": file}, "wall_seconds": 2.0, "peak_memory_bytes": 7, "mlx_peak_bytes": 7}


def refuses(channel, spec):
    raise WorkerFailed("model_invalid", "The files lack the weight vid_in.proj.weight.")


def waits_for_good(channel, spec):
    while True:
        channel.event("upscaling", step=0, total_steps=2)
        channel.stopping.wait(0.02)


async def test_the_larger_file_is_the_video_and_the_raw_one_is_beside_it(home, make_job, upscaler, key, client):
    job, workers = await sync_to_async(make_job)(upscale="larger", key=key), Workers(enlarges)
    async with dispatching(workers):
        done = await ended(job)
        await await_for(no_lease, what="both leases to be released")
    assert (done.status, done.upscaled, await told(done)) == ("completed", True, ["started", "completed"])
    raw, larger = workers.specs
    assert (larger["parts"], larger["factor"], larger["width"]) == (
        [{"name": "frames-abc", "first": 0, "end": 17}],
        2,
        64,
    )
    assert larger["lease_bytes"] == await sync_to_async(upscalers.predict)(await _upscaler(), 64, 64, 17)
    assert raw["lease_bytes"] == built_in(await folder()).peak(64, 64, 17)
    url, auth = f"/v1/videos/{job.pk}", {"Authorization": f"Bearer {key.secret}"}
    video = (await client.get(url, headers=auth)).json()
    assert (video["size"], video["upscaled_size"], video["upscale_error"]) == ("64x64", "128x128", None)
    assert (await client.get(f"{url}/content", headers=auth)).content == b"larger frames"
    assert (await client.get(f"{url}/content?variant=raw", headers=auth)).content == b"frames"
    manifest = (await done.attempts.aget()).manifest
    assert (manifest["upscale"]["wall_seconds"], manifest["peak_memory_bytes"]) == (2.0, 7)
    wider = await sync_to_async(make_job)(upscale="larger", width=192)
    assert await sync_to_async(pace.upscaling)(wider) == 6.0  # three times the pixels


async def _upscaler():
    return await ModelFolder.objects.select_related("node").aget(name="larger")


async def test_when_it_fails_the_raw_video_is_kept_and_the_job_says_so(home, make_job, upscaler, key, client):
    job = await sync_to_async(make_job)(upscale="larger", key=key)
    async with dispatching(Workers(refuses)):
        done = await ended(job)
        await await_for(no_lease, what="both leases to be released")
    assert (done.status, done.upscaled, done.attempt_count) == ("completed", False, 1)
    assert await told(done) == ["started", "completed", "not_upscaled"]
    url, auth = f"/v1/videos/{job.pk}", {"Authorization": f"Bearer {key.secret}"}
    video = (await client.get(url, headers=auth)).json()
    assert (video["status"], video["error"], video["upscaled_size"]) == ("completed", None, None)
    assert video["upscale_error"] == {
        "code": "model_invalid",
        "message": "The files lack the weight vid_in.proj.weight.",
    }
    assert (await client.get(f"{url}/content", headers=auth)).content == b"frames"


async def test_when_it_can_never_fit_or_no_model_is_there_the_raw_video_is_kept(home, make_job, upscaler):
    await ModelFolder.objects.filter(name="larger").aupdate(resident_bytes=2**50)
    large, gone = [await sync_to_async(make_job)(upscale=name) for name in ("larger", "none")]
    workers = Workers(enlarges)
    async with dispatching(workers):
        large, gone = await ended(large), await ended(gone)
    assert [spec["step"] for spec in workers.specs] == ["", ""]
    assert (large.status, large.upscale_error_code) == ("completed", "too_large_for_memory")
    assert "this machine can promise" in large.upscale_error_message
    assert (gone.status, gone.upscale_error_code) == ("completed", "upscale_no_model")
    assert "none" in gone.upscale_error_message


async def test_when_no_room_comes_in_its_time_the_raw_video_is_kept(home, make_job, upscaler, settings):
    settings.FMLX = settings.FMLX.model_copy(update={"video_stall_seconds": 0.0})
    async with dispatching(Workers(enlarges)) as node:
        ceiling, held = (await sync_to_async(node.ledger.room)()).ceiling, built_in(await folder()).peak(64, 64, 17)
        await ModelFolder.objects.filter(name="larger").aupdate(resident_bytes=(ceiling - held) // 2 - 2**30)
        await sync_to_async(node.ledger.reserve)("engine", "chat", ceiling - held)
        job = await sync_to_async(make_job)(upscale="larger")
        done = await ended(job)
    assert (done.status, done.upscale_error_code) == ("completed", "upscale_no_room")
    assert "is needed" in done.upscale_error_message


async def test_a_server_that_stops_meanwhile_costs_the_job_nothing_and_it_is_made_larger_after(
    home, make_job, upscaler
):
    job = await sync_to_async(make_job)(upscale="larger")
    async with dispatching(Workers(waits_for_good)) as node:
        await await_for(lambda: jobs.held_by(node.row.pk).filter(phase="upscaling").aexists(), what="it to begin")
    await job.arefresh_from_db()
    assert (job.status, job.attempt_count, job.upscale_error_code) == ("queued", 0, "")
    async with dispatching(Workers(enlarges)):
        done = await ended(job)
    assert (done.status, done.upscaled) == ("completed", True)


@pytest.fixture
async def post(client, key, model, upscaler):
    async def send(**fields):
        headers = {"Authorization": f"Bearer {key.secret}"}
        return await client.post("/v1/videos", json={**BODY, **fields}, headers=headers)

    return send


async def test_it_is_asked_for_by_name_or_as_the_best_and_refused_by_what_is_wrong(post):
    for asked, kept in (("larger", "larger"), ("auto", "larger"), (None, None)):
        answer = await post(upscale=asked)
        assert (answer.status_code, answer.json()["upscale"]) == (200, kept), answer.text
    error = (await post(upscale="largest")).json()["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "upscale")
    error = (await post(upscale="demo-video")).json()["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "upscale")
    assert "Models that do: larger." in error["message"]
    await ModelFolder.objects.filter(name="larger").adelete()
    error = (await post(upscale="auto")).json()["error"]
    assert error["message"] == "No model on this server makes videos larger."


async def test_an_upscaler_is_listed_and_makes_no_videos_by_itself(post, client, key):
    answer = await client.get("/v1/models/larger", headers={"Authorization": f"Bearer {key.secret}"})
    assert (answer.json()["type"], answer.json()["pipeline"]) == ("upscale", "seedvr2-3b")
    error = (await post(model="larger")).json()["error"]
    assert (error["code"], "the field upscale of POST /v1/videos" in error["message"]) == ("wrong_model_type", True)
    assert not await VideoJob.objects.aexists()
