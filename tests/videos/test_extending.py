"""Prompts that a chat model makes fuller before their videos are begun."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async

from inference.models import ModelFolder
from tests.helpers import await_for
from tests.inference.conftest import (  # noqa: F401 - a node with a pool, and engines that say "one two three"
    home,
    make_model,
    node,
    pool,
    scripted,
)
from videos import extending, jobs
from videos.models import VideoJob

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
BODY = {"model": "demo-video", "prompt": "a red ball", "size": "64x64", "frames": 17, "steps": 4}


@pytest.fixture
async def clips(node):  # noqa: F811
    """A video model on the node."""
    facts = {"type": "video", "pipeline": "wan2.2-t2v-a14b", "sizes": {"heads": 4, "decoder_width": 8}}
    return await ModelFolder.objects.acreate(node=node.row, name="demo-video", path="/nowhere", **facts)


@asynccontextmanager
async def extended():
    working = asyncio.create_task(extending.keep_extending())
    try:
        yield
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


async def asked(client, key, **fields):
    return (await client.post("/v1/videos", json={**BODY, **fields}, headers=bearer(key))).json()


def bearer(key):
    return {"Authorization": f"Bearer {key.secret}"}


async def settled(job_id):
    async def done():
        return not (await VideoJob.objects.aget(pk=job_id)).prompt_wanted

    await await_for(done, what="the prompt")
    job = await VideoJob.objects.aget(pk=job_id)
    return job, [event.what async for event in job.history.all()]


@pytest.mark.usefixtures("pool")
async def test_the_fuller_prompt_is_the_jobs_and_what_was_asked_is_kept(client, key, make_model, clips):  # noqa: F811
    await make_model("a")
    made = await asked(client, key, extend_prompt=True)
    assert (made["prompt"], made["original_prompt"], made["waiting_reason"]) == (
        "a red ball",
        None,
        "A chat model makes its prompt fuller first.",
    )
    assert not await sync_to_async(lambda: jobs.candidates(clips.node_id, 5).exists())()
    async with extended():
        job, history = await settled(made["id"])
    assert (job.prompt, job.original_prompt, job.waiting_reason) == ("one two three", "a red ball", "")
    assert history == ["accepted", "prompt_extended"]
    assert await sync_to_async(lambda: jobs.candidates(clips.node_id, 5).exists())()


@pytest.mark.usefixtures("pool")
async def test_a_prompt_that_no_model_can_extend_stays_as_it_was_asked(
    client,
    key,
    make_model,  # noqa: F811
    clips,
    monkeypatch,
):
    monkeypatch.setattr(extending, "PATIENCE", timedelta(0))
    made = await asked(client, key, extend_prompt=True)
    async with extended():
        job, history = await settled(made["id"])
        assert (job.prompt, job.original_prompt, history) == ("a red ball", "", ["accepted", "prompt_kept"])
        await make_model("a")
        made = await asked(client, key, prompt="crash", extend_prompt=True)
        job, history = await settled(made["id"])
    assert (job.prompt, history) == ("crash", ["accepted", "prompt_kept"])


async def test_the_setting_holds_where_a_request_does_not_say(client, key, clips, settings):
    settings.FMLX = settings.FMLX.model_copy(update={"video_extend_prompt": "on"})
    settings.FMLX.model_fields_set.add("video_extend_prompt")
    plain, refused = await asked(client, key), await asked(client, key, extend_prompt=False)
    wanted = [(await VideoJob.objects.aget(pk=made["id"])).prompt_wanted for made in (plain, refused)]
    assert wanted == [True, False]
