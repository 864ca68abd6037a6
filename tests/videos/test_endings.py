"""A batch's webhook hears of its end once, whichever of its videos ends last and however."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from fmlx_site.audit import Origin
from inference.models import ApiKey
from videos import batches, deletion, jobs
from videos.models import VideoBatch, VideoJob
from webhooks import endpoints
from webhooks.models import Delivery
from webhooks.telling import TYPES

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
SHAPE = {"model": "demo-video", "prompt": "a ball", "width": 64, "height": 64, "frames": 17, "fps": 8, "steps": 4}


@pytest.fixture
def batch():
    key, _ = ApiKey.make("test", User.objects.create_user("someone"))
    endpoints.make(key, "http://127.0.0.1:9/", TYPES, Origin())
    made = VideoBatch.objects.create(key=key)
    for seed in range(2):
        VideoJob.objects.create(key=key, batch=made, seed=seed, **SHAPE)
    return made


def told(batch):
    return list(Delivery.objects.filter(subject=batch.pk).values_list("type", flat=True))


def test_the_last_video_to_end_is_the_end_of_the_batch(batch):
    first, last = batch.jobs.all()
    jobs.cancel(first)
    assert told(batch) == []
    held = jobs.transition(last.pk, last.fence, VideoJob.Status.IN_PROGRESS, what="started")
    jobs.finish(held.pk, held.fence, expires_at=timezone.now())
    assert told(batch) == ["batch.completed"]


def test_a_batch_that_is_cancelled_says_so_once(batch):
    async_to_sync(batches.cancel)(batch)
    assert told(batch) == ["batch.cancelled"]


def test_a_video_that_is_deleted_is_not_waited_for(batch):
    first, last = batch.jobs.all()
    async_to_sync(deletion.delete)(first)
    assert told(batch) == []
    async_to_sync(deletion.delete)(last)
    assert told(batch) == ["batch.completed"]


def test_a_video_that_is_deleted_after_its_end_says_nothing_again(batch):
    for job in batch.jobs.all():
        jobs.cancel(job)
    async_to_sync(deletion.delete)(batch.jobs.first())
    assert told(batch) == ["batch.completed"]


def test_two_that_end_at_the_same_moment_are_one_end(batch):
    def end(job):
        try:
            jobs.cancel(job)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(end, batch.jobs.all()))
    assert told(batch) == ["batch.completed"]
