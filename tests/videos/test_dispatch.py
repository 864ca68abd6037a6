"""The dispatcher on a real node, with a worker in a thread: what it takes, what it passes over, what it says."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from inference.models import ModelFolder
from memory import LocalNode, NoRoom, Priority, Shortage
from memory.inprocess import InProcessLauncher
from memory.models import Lease, Node
from tests.helpers import await_for
from videos import dispatch, jobs, pausing
from videos.errors import AlreadyFinished
from videos.models import VideoJob
from videos.predictor import built_in, predict

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]


def draws(channel, spec):
    """The least a video worker does: every phase, and a file."""
    for phase in ("loading", "encoding", "denoising", "decoding", "muxing"):
        channel.event(phase, step=1, total_steps=1)
    path = f"{spec['output_dir']}/video.mp4"
    with open(path, "wb") as stream:  # noqa: PTH123
        stream.write(b"frames")
    file = {"name": "video.mp4", "bytes": 6, "sha256": "x", "media_type": "video/mp4"}
    used = {"guidance_scale": 1.0, "guidance_scale_2": 1.0, "flow_shift": 1.0, "peak_memory_bytes": 1}
    return {"files": {"video": file}, "pipeline": "wan2.2-t2v-a14b", "phase_seconds": {"denoising": 1.0}, **used}


def waits(channel, spec):
    while True:
        channel.event("denoising", step=1, total_steps=2)
        channel.stopping.wait(0.02)


def previews(channel, spec):
    """A preview, and then the clip when the test has put a file beside it."""
    channel.event("denoising", step=1, total_steps=2)
    Path(spec["output_dir"], "preview.webp").write_bytes(b"moving")
    channel.send("event", phase="preview", number=1)
    while not Path(spec["output_dir"], "seen").exists():
        channel.checkpoint()
        channel.stopping.wait(0.02)
    return draws(channel, spec)


def breaks(channel, spec):
    raise ZeroDivisionError("the worker's own mistake")


@asynccontextmanager
async def dispatching(work):
    async with LocalNode.open("here", launcher=InProcessLauncher(work)) as node:
        await ModelFolder.objects.filter(name="demo-video").aupdate(node=node.row)
        running = asyncio.create_task(dispatch.Dispatcher(node).run())
        try:
            yield node
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def ended(job):
    async def over():
        await job.arefresh_from_db()
        return job.finished

    await await_for(over, what="the job to end")
    return job


@pytest.fixture
def stays(home, settings):
    """Generators stay for five minutes."""
    settings.FMLX = settings.FMLX.model_copy(update={"video_idle_seconds": 300.0})


async def told(job):
    return [event.what async for event in job.history.all()]


async def test_a_job_is_done_once_and_its_lease_is_given_back(home, make_job):
    job = await sync_to_async(make_job)()
    async with dispatching(draws):
        done = await ended(job)
        await await_for(no_lease, what="the lease to be released")
    assert (done.status, done.progress, await told(done)) == ("completed", 100, ["started", "completed"])
    artifact = await done.artifacts.aget()
    assert (home / "artifacts" / artifact.path).read_bytes() == b"frames"
    assert done.expires_at > timezone.now()
    assert not any((home / "work" / "here").iterdir())
    attempt = await done.attempts.aget()
    assert (attempt.outcome, attempt.lease_bytes) == ("completed", built_in(await folder()).peak(64, 64, 17))


async def no_lease():
    return not await Lease.objects.aexists()


async def folder():
    return await ModelFolder.objects.select_related("node").aget(name="demo-video")


async def test_a_workers_own_error_is_the_jobs_error_and_is_not_tried_again(home, make_job):
    job = await sync_to_async(make_job)()
    async with dispatching(breaks):
        failed = await ended(job)
    assert (failed.status, failed.error_code, failed.attempt_count) == ("failed", "worker_error", 1)
    assert "the worker's own mistake" in failed.error_message
    assert "ZeroDivisionError" in (await failed.attempts.aget()).detail


async def test_a_preview_is_told_and_served_while_the_worker_has_the_job_and_not_after(home, make_job, key, client):
    job = await sync_to_async(make_job)(key=key)
    url, auth = f"/v1/videos/{job.pk}", {"Authorization": f"Bearer {key.secret}"}
    answer = await client.get(f"{url}/preview", headers=auth)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "preview_not_found")
    async with dispatching(previews):

        async def told_of():
            return (await client.get(url, headers=auth)).json()["preview_number"]

        await await_for(told_of, what="the preview")
        answer = await client.get(f"{url}/preview", headers=auth)
        assert (answer.content, answer.headers["content-type"]) == (b"moving", "image/webp")
        answer = await client.get(f"{url}/preview", headers=auth | {"If-None-Match": answer.headers["etag"]})
        assert answer.status_code == 304
        [folder] = (home / "work" / "here").iterdir()
        (folder / "seen").touch()
        await ended(job)
    assert (await client.get(url, headers=auth)).json()["preview_number"] is None
    assert (await client.get(f"{url}/preview", headers=auth)).status_code == 404


async def test_cancelling_stops_the_worker_and_leaves_nothing(home, make_job):
    job = await sync_to_async(make_job)()
    async with dispatching(waits) as node:
        await await_for(lambda: node.workers, what="the worker to run")
        await job.arefresh_from_db()
        await sync_to_async(jobs.cancel)(job)
        await await_for(lambda: not node.workers, what="the worker to go")
        await await_for(lambda: not list((home / "work" / "here").iterdir()), what="its folder to go")
    assert (await ended(job)).error_code == "cancelled"
    assert not await Lease.objects.aexists()


async def test_a_deleted_job_takes_its_worker_with_it(home, make_job):
    job = await sync_to_async(make_job)()
    async with dispatching(waits) as node:
        await await_for(lambda: node.workers, what="the worker to run")
        await VideoJob.objects.all().adelete()
        await await_for(lambda: not node.workers, what="the worker to go")
    assert not await Lease.objects.aexists()
    assert not (home / "artifacts" / job.pk).exists()


async def test_a_server_that_stops_in_good_order_costs_the_job_no_attempt(home, make_job):
    job = await sync_to_async(make_job)()
    async with dispatching(waits) as node:
        await await_for(lambda: node.workers, what="the worker to run")
    await job.arefresh_from_db()
    assert (job.status, job.attempt_count, await told(job)) == ("queued", 0, ["started", "server_stopping"])
    async with dispatching(draws):
        assert (await ended(job)).status == "completed"


async def test_what_a_killed_server_was_doing_is_done_again(home, make_job, node):
    job = await sync_to_async(jobs.claim)(await sync_to_async(make_job)(), node.pk)
    stray = home / "artifacts" / "video_of_nobody"
    stray.mkdir(parents=True)
    async with dispatching(draws):
        done = await ended(job)
    assert await told(done) == ["started", "server_restarted", "started", "completed"]
    assert done.attempt_count == 2
    assert not stray.exists()


async def test_a_silent_nodes_job_is_taken_over_and_its_late_result_is_refused(home, make_job, model):
    silent = timezone.now() - timedelta(minutes=5)
    other = await Node.objects.acreate(name="there", boot_id="1", pid=1, heartbeat_at=silent)
    lost = await sync_to_async(jobs.claim)(await sync_to_async(make_job)(), other.pk)
    async with dispatching(draws):
        done = await ended(await VideoJob.objects.aget(pk=lost.pk))
    assert await told(done) == ["started", "node_lost", "started", "completed"]
    with pytest.raises(jobs.FenceLost):
        await sync_to_async(jobs.finish)(lost.pk, lost.fence, expires_at=timezone.now())


async def test_attempts_have_an_end(home, make_job, settings):
    settings.FMLX = settings.FMLX.model_copy(update={"video_attempts": 2})
    job = await sync_to_async(make_job)(attempt_count=1)
    node = await Node.objects.aget(name="here")
    await sync_to_async(jobs.claim)(job, node.pk)
    async with dispatching(draws):
        failed = await ended(job)
    assert (failed.error_code, failed.attempt_count) == ("server_restarted", 2)
    assert "the last" in failed.error_message


async def test_a_small_job_may_overtake_one_that_waits_for_memory_but_only_so_often(home, make_job, settings):
    settings.FMLX = settings.FMLX.model_copy(update={"video_overtakes": 2})
    big = await sync_to_async(make_job)(width=512, height=512)
    small = [await sync_to_async(make_job)() for _ in range(4)]
    async with LocalNode.open("here", launcher=InProcessLauncher(draws)) as node:
        ledger, choose = node.ledger, sync_to_async(dispatch.Dispatcher(node)._choose)
        room = await sync_to_async(ledger.room)()
        too_little = built_in(await folder()).peak(512, 512, 17) - 1
        other = await sync_to_async(ledger.reserve)("engine", "chat", room.ceiling - too_little)
        for expected in small[:2]:
            (job, place, _), _ = await choose()
            assert job.pk == expected.pk
            await sync_to_async(ledger.release)(place.lease)
        await big.arefresh_from_db()
        assert (big.overtaken, "is needed" in big.waiting_reason) == (2, True)
        assert (await choose())[0] is None
        await sync_to_async(ledger.release)(other)
        (job, _, _), _ = await choose()
        assert (job.pk, job.waiting_reason) == (big.pk, "")


async def test_a_job_waits_with_the_reason_when_the_runtime_is_not_built(home, make_job):
    (home / "runtimes" / "mlx-gen" / "bin" / "python").unlink()
    job = await sync_to_async(make_job)()

    async def said():
        await job.arefresh_from_db()
        return job.waiting_reason

    async with dispatching(draws):
        assert "buildworker mlx-gen" in await await_for(said, what="the reason")
    assert job.status == "queued"


async def test_the_youngest_job_gives_way_when_others_took_the_memory_and_it_costs_no_attempt(home, make_job, settings):
    settings.FMLX = settings.FMLX.model_copy(update={"video_workers": 2})
    elder, younger = [await sync_to_async(make_job)() for _ in range(2)]
    async with dispatching(waits) as node:
        await await_for(lambda: len(node.workers) == 2, what="both workers to run")
        await node._makers.make_room(Shortage(1), Priority.STOP)

        async def gave_way():
            return "memory_needed" in await told(younger)

        await await_for(gave_way, what="the younger job to give way")
        assert await told(elder) == ["started"]
    await younger.arefresh_from_db()
    assert (younger.status, younger.attempt_count) == ("queued", 0)


async def idle_lease():
    return await Lease.objects.filter(holder="demo-video (idle)").afirst()


async def test_a_generator_stays_for_the_next_job_and_leaves_when_another_worker_needs_its_memory(stays, make_job):
    async with dispatching(draws) as node:
        first = await ended(await sync_to_async(make_job)())
        lease = await await_for(idle_lease, what="the generator to be idle")
        [worker] = node.workers
        second = await ended(await sync_to_async(make_job)(seed=2))
        await await_for(idle_lease, what="the generator to be idle again")
        assert (set(node.workers), (await idle_lease()).pk) == ({worker}, lease.pk)
        room = await sync_to_async(node.ledger.room)()
        with pytest.raises(NoRoom):
            await node.reserve("engine", "chat", room.ceiling)
        await await_for(no_lease, what="the generator to leave")
        assert node.workers == set()
    attempts = [await job.attempts.aget() for job in (first, second)]
    assert [attempt.warm for attempt in attempts] == [False, True]
    assert [attempt.outcome for attempt in attempts] == ["completed", "completed"]


async def test_a_generator_leaves_when_no_job_comes_in_its_time(stays, make_job, settings):
    settings.FMLX = settings.FMLX.model_copy(update={"video_idle_seconds": 0.2})
    async with dispatching(draws) as node:
        await ended(await sync_to_async(make_job)())
        await await_for(lambda: not node.workers, what="the generator to leave")
        await await_for(no_lease, what="its lease to be released")


async def test_a_generator_takes_a_larger_job_under_a_lease_that_grows(stays, make_job):
    async with dispatching(draws) as node:
        await ended(await sync_to_async(make_job)())
        await await_for(idle_lease, what="the generator to be idle")
        [worker] = node.workers
        large = await ended(await sync_to_async(make_job)(width=512, height=512))
        promised = await sync_to_async(predict)(await folder(), 512, 512, 17)
        assert (await large.attempts.aget()).lease_bytes == promised
        assert worker.watch.lease == promised


async def test_a_paused_job_leaves_its_worker_and_the_line_until_it_is_resumed(home, make_job):
    job = await sync_to_async(make_job)()
    async with dispatching(waits) as node:
        await await_for(lambda: node.workers, what="the worker to run")
        await await_for(lambda: jobs.held_by(node.row.pk).filter(step=1).aexists(), what="a step to be reported")
        await job.arefresh_from_db()
        paused = await sync_to_async(pausing.pause)(job)
        await await_for(lambda: not node.workers, what="the worker to go")
        assert (paused.status, paused.paused, paused.attempt_count, paused.step) == ("queued", True, 0, 1)
        assert await sync_to_async(dispatch.Dispatcher(node)._choose)() == (None, [])
    assert (await job.history.aget(what="paused")).message.startswith("It was denoising, step 1 of 2")
    async with dispatching(draws):
        assert await sync_to_async(jobs.queue_position)(paused) is None
        await sync_to_async(pausing.resume)(paused)
        done = await ended(job)
    assert (done.status, done.paused, await told(done)) == (
        "completed",
        False,
        ["started", "paused", "resumed", "started", "completed"],
    )
    with pytest.raises(AlreadyFinished):
        await sync_to_async(pausing.pause)(done)
