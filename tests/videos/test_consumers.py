"""What a page hears on its websocket, through the whole stack: origin, session, consumer."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Permission, User
from django.test import Client

from fmlx_site.sockets import sockets
from memory import say
from videos import deletion, jobs, live
from videos.consumers import FORBIDDEN, MISSING
from videos.models import VideoJob

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
SILENCE_SECONDS = 0.4


def cookie_of(user):
    client = Client()
    client.force_login(user)
    return client.cookies["fmlx_session"].OutputString().split(";")[0].encode()


def socket(path, cookie=None, origin="http://127.0.0.1:8000"):
    headers = [(b"origin", origin.encode()), *([(b"cookie", cookie)] if cookie else [])]
    return WebsocketCommunicator(sockets, path, headers)


@asynccontextmanager
async def listening(path, cookie):
    """A connection whose snapshot was read."""
    page = socket(path, cookie)
    connected, _ = await page.connect()
    assert connected
    try:
        yield page, await page.receive_json_from()
    finally:
        await page.disconnect()


@pytest.fixture
def cookie(operator):
    return cookie_of(operator)


async def closed_with(page):
    await page.connect()
    return (await page.receive_output())["code"]


async def test_nobody_listens_without_logging_in_or_without_permission(db):
    assert await closed_with(socket("ws/videos/")) == FORBIDDEN
    stranger = await User.objects.acreate(username="stranger")
    assert await closed_with(socket("ws/videos/", await sync_to_async(cookie_of)(stranger))) == FORBIDDEN
    await stranger.user_permissions.aadd(await Permission.objects.aget(codename="view_videojob"))
    async with listening("ws/videos/", await sync_to_async(cookie_of)(stranger)) as (_page, snapshot):
        assert snapshot == {"type": "snapshot", "videos": []}


async def test_a_page_of_another_site_is_refused(cookie):
    page = socket("ws/videos/", cookie, origin="https://evil.example")
    connected, _ = await page.connect()
    assert not connected


@pytest.mark.parametrize("video_id", ["video_none", "a%20b", "x" * 200])
async def test_a_video_that_is_not_there_says_so(cookie, video_id):
    assert await closed_with(socket(f"ws/videos/{video_id}/", cookie)) == MISSING


async def test_a_snapshot_then_numbered_events_in_order(cookie, make_job):
    job = await sync_to_async(make_job)()
    async with listening("ws/videos/", cookie) as (page, snapshot):
        assert [video["id"] for video in snapshot["videos"]] == [job.pk]
        assert snapshot["videos"][0]["queue_position"] == 1
        numbers = [snapshot["videos"][0]["event_number"]]
        for reason in ("a", "b", "c"):
            (job,) = await sync_to_async(jobs.say_why)(job, reason)
            await live.job_changed(job)
            event = await page.receive_json_from()
            assert (event["type"], event["video"]["waiting_reason"]) == ("video", reason)
            numbers.append(event["number"])
    assert numbers == sorted(set(numbers))


async def test_a_page_hears_in_its_own_language_why_a_job_waits(cookie, make_job):
    job = await sync_to_async(make_job)()
    (job,) = await sync_to_async(jobs.say_why)(job, say("no_such_model"))
    async with listening("ws/videos/", cookie + b"; django_language=ru") as (page, snapshot):
        assert "нет этой модели" in snapshot["videos"][0]["waiting_reason"]
        (job,) = await sync_to_async(jobs.say_why)(job, say("never_fits", wanted=2**31, ceiling=2**30))
        await live.job_changed(job)
        heard = (await page.receive_json_from())["video"]["waiting_reason"]
        assert heard == "Нужно 2.00 GiB, а эта машина может обещать не больше 1.00 GiB."


async def test_an_event_that_is_older_than_the_snapshot_is_not_sent(cookie, make_job):
    old = await sync_to_async(make_job)()
    await sync_to_async(jobs.say_why)(old, "newer than what is announced")
    async with listening(f"ws/videos/{old.pk}/", cookie) as (page, snapshot):
        assert snapshot["videos"][0]["waiting_reason"] == "newer than what is announced"
        await live.job_changed(old)
        assert await page.receive_nothing(SILENCE_SECONDS)


async def test_a_burst_of_events_arrives_at_ten_a_second_with_the_newest(cookie, make_job, node):
    job = await sync_to_async(make_job)()
    job = await sync_to_async(jobs.claim)(job, node.pk)
    async with listening(f"ws/videos/{job.pk}/", cookie) as (page, _snapshot):
        began, last, seen = asyncio.get_running_loop().time(), 0, 0
        for step in range(1, 101):
            changed = await sync_to_async(jobs.report)(job.pk, job.fence, step=step)
            await live.job_changed(changed)
        while last < 100:
            event = await page.receive_json_from(timeout=5)
            assert event["video"]["step"] > last
            last, seen = event["video"]["step"], seen + 1
        elapsed = asyncio.get_running_loop().time() - began
    assert seen <= elapsed * 10 + 2


async def test_positions_move_up_when_the_head_leaves_the_queue(cookie, make_job, node):
    first, second, third = [await sync_to_async(make_job)() for _ in range(3)]
    async with listening("ws/videos/", cookie) as (page, _), listening(f"ws/videos/{third.pk}/", cookie) as (one, __):
        await live.job_changed(await sync_to_async(jobs.claim)(first, node.pk))
        assert (await page.receive_json_from())["video"]["status"] == "in_progress"
        assert await page.receive_json_from() == {"type": "queue", "positions": {second.pk: 1, third.pk: 2}}
        assert await one.receive_json_from() == {"type": "queue", "positions": {third.pk: 2}}
        await deletion.delete(second)
        assert await page.receive_json_from() == {"type": "deleted", "video": {"id": second.pk}}
        assert await page.receive_json_from() == {"type": "queue", "positions": {third.pk: 1}}


async def test_a_deleted_video_does_not_come_back(cookie, make_job):
    job = await sync_to_async(make_job)()
    async with listening("ws/videos/", cookie) as (page, _):
        await deletion.delete(await VideoJob.objects.aget(pk=job.pk))
        assert (await page.receive_json_from())["type"] == "deleted"
        await live.job_changed(job)  # was on its way
        rest = [await page.receive_json_from()] if not await page.receive_nothing(SILENCE_SECONDS) else []
        assert all(event["type"] == "queue" for event in rest)


async def test_whatever_a_client_sends_is_let_pass(cookie, make_job):
    job = await sync_to_async(make_job)()
    async with listening("ws/videos/", cookie) as (page, _):
        await page.send_to(text_data="not json")
        await page.send_to(bytes_data=b"\x00")
        (job,) = await sync_to_async(jobs.say_why)(job, "still here")
        await live.job_changed(job)
        assert (await page.receive_json_from())["video"]["waiting_reason"] == "still here"


async def test_a_page_that_leaves_in_the_middle_of_a_burst_is_forgotten(cookie, make_job):
    job = await sync_to_async(make_job)()
    page = socket("ws/videos/", cookie)
    await page.connect()
    for reason in ("a", "b"):
        (job,) = await sync_to_async(jobs.say_why)(job, reason)
        await live.job_changed(job)
    await page.disconnect()
    async with listening("ws/videos/", cookie) as (_page, snapshot):
        assert snapshot["videos"][0]["waiting_reason"] == "b"
