"""What a receiver gets: signed, in order, once, and after it was down."""

import json
import socket
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from fmlx_site.audit import Origin
from fmlx_site.errors import InvalidRequest
from inference.keys import changes
from videos import jobs
from videos.errors import FenceLost
from webhooks import deliveries, endpoints, post
from webhooks.models import Delivery, Endpoint
from webhooks.sending import Sender
from webhooks.signing import secret_of
from webhooks.targets import checked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]


@sync_to_async
def fail(job):
    return jobs.fail(job.pk, job.fence, "worker_error", "It broke.")


async def deliver(rounds=1):
    sender = Sender()
    try:
        return [await post._round(sender) for _ in range(rounds)]
    finally:
        await sender.close()


async def tries():
    rows = Delivery.objects.order_by("number").prefetch_related("log")
    return [[one.status for one in row.log.all()] async for row in rows]


async def test_a_receiver_that_was_down_gets_it_later_once_and_verifies_it(endpoint, receiver, make_job, at_once):
    job = await fail(await sync_to_async(make_job)())
    assert await deliver(2) == [1, 1]
    with receiver.up():
        assert await deliver(3) == [1, 0, 0]
    assert await tries() == [[None, None, 204]]
    [(headers, body)] = receiver.got
    event = Webhook(secret_of(endpoint)).verify(body, headers)
    assert (event["object"], event["type"], event["data"]) == ("event", "video.failed", {"id": job.pk})
    assert event["id"] == headers["webhook-id"]
    assert event["created_at"] == pytest.approx(timezone.now().timestamp(), abs=60)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret_of(endpoint)).verify(body + b" ", headers)


async def test_events_of_one_job_keep_their_order_and_hold_up_no_other(endpoint, receiver, make_job, at_once):
    first, second = [await sync_to_async(make_job)() for _ in range(2)]
    failed = await fail(first)
    again = await sync_to_async(jobs.requeue)(failed)
    await fail(again)
    await fail(second)
    receiver.answers = [500, 503]
    with receiver.up():
        assert await deliver(3) == [2, 2, 1]
    subjects = [json.loads(body)["data"]["id"] for _, body in receiver.got]
    assert sorted(subjects[:2]) == sorted(subjects[2:4]) == sorted([first.pk, second.pk])
    assert subjects[4] == first.pk
    numbers = [row async for row in Delivery.objects.order_by("number").values_list("event_id", flat=True)]
    assert receiver.got[4][0]["webhook-id"] == numbers[1]


async def test_without_its_event_no_job_ends_and_without_the_end_there_is_no_event(endpoint, make_job, key):
    job = await sync_to_async(make_job)()

    @sync_to_async
    def undone():
        with transaction.atomic():
            jobs.cancel(job)
            transaction.set_rollback(True)
        with pytest.raises(FenceLost):
            jobs.fail(job.pk, job.fence + 7, "worker_error", "late")

    await undone()
    assert not await Delivery.objects.aexists()
    await sync_to_async(changes.revoke)(key, Origin())
    await fail(job)
    assert not await Delivery.objects.aexists(), "of a revoked key"


async def test_two_nodes_do_not_send_the_same_and_a_dead_ones_is_sent_again(endpoint, make_job, receiver):
    await fail(await sync_to_async(make_job)())
    [lost] = await sync_to_async(deliveries.claim)()
    assert await sync_to_async(deliveries.claim)() == []
    await Delivery.objects.aupdate(claimed_until=timezone.now() - timedelta(seconds=1))
    with receiver.up():
        assert await deliver() == [1]
    [(headers, _)] = receiver.got
    assert headers["webhook-id"] == lost.event_id


async def test_redirects_are_not_followed_and_what_is_not_taken_is_told(endpoint, receiver, make_job, at_once):
    await fail(await sync_to_async(make_job)())
    receiver.answers, receiver.headers = [302, 503], {"location": receiver.url, "retry-after": "1200"}
    with receiver.up():
        await deliver()
        await Delivery.objects.aupdate(next_at=timezone.now())
        await deliver()
    assert await tries() == [[302, 503]]
    delivery = await Delivery.objects.prefetch_related("log").aget()
    assert "not followed" in delivery.log.all()[0].problem
    assert delivery.next_at > timezone.now() + timedelta(seconds=1100)


async def test_a_receiver_that_never_answers_is_left_in_time(endpoint, receiver, make_job, settings):
    settings.FMLX = settings.FMLX.model_copy(update={"webhook_timeout_seconds": 0.2})
    await fail(await sync_to_async(make_job)())
    with socket.create_server(("127.0.0.1", receiver.port)):
        await deliver()
    delivery = await Delivery.objects.prefetch_related("log").aget()
    assert (delivery.state, delivery.log.all()[0].status) == ("pending", None)
    assert "Timeout" in delivery.log.all()[0].problem


async def test_it_is_given_up_in_the_end_and_at_once_by_410(endpoint, receiver, make_job, settings, at_once):
    await fail(await sync_to_async(make_job)())
    settings.FMLX = settings.FMLX.model_copy(update={"webhook_try_seconds": 0.0})
    await deliver()
    delivery = await Delivery.objects.aget()
    assert delivery.state == "given_up"
    await sync_to_async(deliveries.replay)(delivery)
    await fail(await sync_to_async(make_job)())
    receiver.answers = [410, 410]
    with receiver.up():
        await deliver()
    assert [row.state async for row in Delivery.objects.all()] == ["given_up"] * 2
    assert (await Endpoint.objects.aget()).gone_at
    await fail(await sync_to_async(make_job)())
    assert await Delivery.objects.acount() == 2


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org", "http://", "example.org/x", "http://a b/", "http://x:99999/", "javascript:alert(1)"),
        *("http://me:secret@example.org/", "http://example.org/#part", "http://x/" + "y" * 2000, "http://x\\@y/"),
        *("http://169.254.169.254/latest", "http://[fe80::1]/", "http://0.0.0.0/", "http://[::ffff:169.254.1.1]/"),
        *("http://224.0.0.1/", "http:///path", "http://x/\n", "file:///etc/passwd"),
    ],
)
def test_addresses_that_are_refused(url):
    with pytest.raises(InvalidRequest) as refused:
        checked(url)
    assert refused.value.param == "url"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/x", "https://[::1]/", "http://192.168.1.7", "https://hook.example/?a"]
)
def test_addresses_that_are_not(url):
    assert checked(url) == url


def test_a_secret_is_made_anew_and_the_database_does_not_know_it(endpoint):
    old = secret_of(endpoint)
    assert old.startswith("whsec_")
    assert secret_of(Endpoint.objects.get()) == old
    assert old.removeprefix("whsec_") not in str(Endpoint.objects.values().get())
    assert secret_of(endpoints.renew_secret(endpoint, Origin())) != old
