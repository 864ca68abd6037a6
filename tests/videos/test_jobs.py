from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from fmlx_site.errors import TooMany
from videos import jobs, live
from videos.errors import AlreadyFinished, FenceLost, IdempotencyConflict
from videos.models import VideoJob

Status = VideoJob.Status
pytestmark = [pytest.mark.django_db, pytest.mark.servers]


def told(job):
    return [event.what for event in job.history.all()]


def test_a_job_goes_from_the_queue_to_done_and_says_so(node, make_job):
    job = jobs.claim(make_job(), node.pk)
    assert (job.status, job.fence, job.attempt_count) == (Status.IN_PROGRESS, 1, 1)
    jobs.report(job.pk, 1, phase="denoising", step=2, total_steps=4, progress=50)
    done = jobs.finish(job.pk, 1, expires_at=timezone.now())
    assert (done.status, done.progress, done.event_number) == (Status.COMPLETED, 100, 3)
    assert told(done) == ["started", "completed"]


def test_only_one_of_two_claims_gets_the_job(node, make_job):
    job = make_job()
    assert jobs.claim(job, node.pk)
    assert jobs.claim(job, node.pk) is None


def test_a_zombie_can_neither_report_nor_finish_a_job_that_was_given_away(node, make_job):
    zombie = jobs.claim(make_job(), node.pk)
    jobs.retry(zombie.pk, zombie.fence, "server_restarted", "", after=0)
    again = jobs.claim(VideoJob.objects.get(pk=zombie.pk), node.pk)
    for write in (
        lambda: jobs.report(zombie.pk, zombie.fence, progress=99),
        lambda: jobs.finish(zombie.pk, zombie.fence, expires_at=timezone.now()),
        lambda: jobs.fail(zombie.pk, zombie.fence, "x", "x"),
    ):
        with pytest.raises(FenceLost):
            write()
    assert jobs.report(again.pk, again.fence, progress=1).progress == 1


def test_an_ended_job_cannot_end_again(node, make_job):
    job = jobs.claim(make_job(), node.pk)
    done = jobs.finish(job.pk, job.fence, expires_at=timezone.now())
    with pytest.raises(FenceLost):
        jobs.fail(done.pk, done.fence, "x", "x")
    with pytest.raises(AlreadyFinished):
        jobs.cancel(done)


def test_cancelling_takes_a_running_job_from_its_worker(node, make_job):
    job = jobs.claim(make_job(), node.pk)
    stale = VideoJob.objects.get(pk=job.pk)
    stale.fence = 0  # read before the claim
    cancelled = jobs.cancel(stale)
    assert (cancelled.status, cancelled.error_code, cancelled.phase) == (Status.FAILED, "cancelled", "failed")
    with pytest.raises(FenceLost):
        jobs.report(job.pk, job.fence, progress=99)


def test_a_retried_job_waits_for_its_back_off(node, make_job):
    job = jobs.claim(make_job(), node.pk)
    jobs.retry(job.pk, job.fence, "worker_crashed", "It crashed.", after=60)
    assert list(jobs.candidates(node.pk, 10)) == []
    VideoJob.objects.update(not_before=timezone.now() - timedelta(seconds=1))
    assert [late.pk for late in jobs.candidates(node.pk, 10)] == [job.pk]


def test_the_line_is_by_priority_and_then_age(node, make_job):
    first, second, urgent = make_job(), make_job(), make_job(priority=5)
    assert [job.pk for job in jobs.candidates(node.pk, 10)] == [urgent.pk, first.pk, second.pk]
    assert [jobs.queue_position(job) for job in (urgent, first, second)] == [1, 2, 3]
    assert jobs.queue_position(jobs.claim(urgent, node.pk)) is None


def test_the_places_of_a_page_of_jobs_are_read_at_once(node, make_job, django_assert_num_queries):
    rows = [make_job(priority=priority) for priority in (0, 3, 0, 3, 1, 0, -1, 3)]
    moment = rows[0].created_at
    VideoJob.objects.filter(pk__in=[job.pk for job in rows[:4]]).update(created_at=moment)  # at the same instant
    jobs.claim(rows[1], node.pk)
    rows = list(VideoJob.objects.order_by("id"))
    one_by_one = {job.pk: jobs.queue_position(job) for job in rows}
    assert sorted(place for place in one_by_one.values() if place) == [1, 2, 3, 4, 5, 6, 7]
    page = rows[1::2]
    with django_assert_num_queries(1):
        shown = async_to_sync(live.resources)(page)
    assert {video.id: video.queue_position for video in shown} == {job.pk: one_by_one[job.pk] for job in page}
    assert jobs.queue_positions() == {pk: place for pk, place in one_by_one.items() if place}
    assert jobs.queue_positions([]) == {}


def test_a_job_whose_model_is_gone_waits_and_says_why(node, make_job):
    job = make_job(model="gone")
    assert list(jobs.candidates(node.pk, 10)) == []
    [told_job] = jobs.explain_missing_models()
    assert told_job.pk == job.pk
    assert "No running node has this model" in told_job.waiting_reason
    assert jobs.explain_missing_models() == []


def draft(key, **fields):
    shape = {"width": 64, "height": 64, "frames": 17, "fps": 8, "steps": 4, "seed": 1}
    return VideoJob(key=key, model="demo-video", prompt="x", **shape, **fields)


def test_the_same_idempotency_key_gives_the_first_job(key, model):
    first = jobs.submit([draft(key, idempotency_key="k", request_digest="d")], 10)
    again = jobs.submit([draft(key, idempotency_key="k", request_digest="d")], 10)
    assert (first.new, again.new, again.job.pk) == (True, False, first.job.pk)
    with pytest.raises(IdempotencyConflict):
        jobs.submit([draft(key, idempotency_key="k", request_digest="other")], 10)
    assert jobs.submit([draft(key)], 10).job.pk != jobs.submit([draft(key)], 10).job.pk


def test_a_full_queue_is_refused(key, model):
    jobs.submit([draft(key)], 1)
    with pytest.raises(TooMany):
        jobs.submit([draft(key)], 1)
    assert VideoJob.objects.count() == 1
