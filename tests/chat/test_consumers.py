"""What an open Chat page hears, through origin, session and consumer."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from chat import conversations
from chat.answering import group_of
from chat.consumers import FORBIDDEN, MISSING
from chat.conversations import Ask
from chat.models import Conversation, Message
from fmlx_site.live import announce
from fmlx_site.sockets import sockets

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]


def cookie_of(user):
    client = Client()
    client.force_login(user)
    return client.cookies["fmlx_session"].OutputString().split(";")[0].encode()


def socket(path, cookie=None):
    headers = [(b"origin", b"http://127.0.0.1:8000"), *([(b"cookie", cookie)] if cookie else [])]
    return WebsocketCommunicator(sockets, path, headers)


@asynccontextmanager
async def listening(answer, user):
    page = socket(f"ws/chat/{answer.conversation_id}/", await sync_to_async(cookie_of)(user))
    connected, _ = await page.connect()
    assert connected
    try:
        yield page, await page.receive_json_from()
    finally:
        await page.disconnect()


async def closed_with(page):
    await page.connect()
    return (await page.receive_output())["code"]


@pytest.fixture
async def owner(transactional_db):
    return await sync_to_async(User.objects.create_superuser)("admin", password="a long password")


@pytest.fixture
async def answer(owner):
    return await sync_to_async(conversations.start)(owner, "hello", Ask("a", "", {}))


async def keep(answer, **fields):
    await Message.objects.filter(pk=answer.pk).aupdate(**fields)


async def piece(answer, at, text):
    await announce(group_of(answer.conversation_id), "chat.pieces", message=answer.pk, pieces={"text": (at, text)})


async def test_only_the_owner_listens(answer, owner):
    path = f"ws/chat/{answer.conversation_id}/"
    assert await closed_with(socket(path)) == FORBIDDEN
    plain = await User.objects.acreate(username="plain")
    assert await closed_with(socket(path, await sync_to_async(cookie_of)(plain))) == FORBIDDEN
    other = await User.objects.acreate(username="other", is_superuser=True)
    assert await closed_with(socket(path, await sync_to_async(cookie_of)(other))) == MISSING


async def test_what_is_kept_comes_first_and_then_each_piece_once(answer, owner):
    await keep(answer, text="one two")
    async with listening(answer, owner) as (page, snapshot):
        assert snapshot["answering"] == [{"id": answer.pk, "thinking": "", "text": "one two"}]
        await piece(answer, 3, " two three")
        assert await page.receive_json_from() == {"type": "pieces", "id": answer.pk, "text": " three"}
        await piece(answer, 0, "one")
        assert await page.receive_json_from() == {"type": "pieces", "id": answer.pk, "text": ""}


async def test_a_piece_that_was_missed_is_read_from_what_is_kept(answer, owner):
    async with listening(answer, owner) as (page, _):
        await keep(answer, text="one two")
        await piece(answer, 7, " three")
        assert (await page.receive_json_from())["text"] == "one two"
        await piece(answer, 7, " three")
        assert await page.receive_json_from() == {"type": "pieces", "id": answer.pk, "text": " three"}


async def test_a_model_on_its_way_is_told_to_who_waits_for_it(answer, owner):
    async with listening(answer, owner) as (page, _):
        for name in ("b", "a"):
            await announce("engines", "engine.changed", engine={"id": name, "loading": {"done": 1, "total": 4}})
        told = {"type": "phase", "id": answer.pk, "phase": "loading", "done": 1, "total": 4}
        assert await page.receive_json_from() == told
        assert await page.receive_nothing()


async def test_an_answer_whose_process_is_gone_ends_with_what_was_kept(answer, owner, monkeypatch):
    monkeypatch.setattr("chat.consumers.LOOK_SECONDS", 0.05)
    async with listening(answer, owner) as (page, _):
        await keep(answer, text="half", saved_at=timezone.now() - timedelta(minutes=1))
        assert await page.receive_json_from() == {"type": "ended", "id": answer.pk}
    kept = await Message.objects.aget(pk=answer.pk)
    assert (kept.state, kept.text, kept.problem["code"]) == ("failed", "half", "interrupted")


async def test_what_was_deleted_long_ago_goes_for_good(answer, owner):
    gone = await Conversation.objects.aget(pk=answer.conversation_id)
    await sync_to_async(conversations.delete)(gone)
    await Conversation.objects.aupdate(deleted_at=timezone.now() - timedelta(hours=2))
    assert not await sync_to_async(conversations.bring_back)(gone.pk, owner)
    later = await sync_to_async(conversations.start)(owner, "later", Ask("a", "", {}))
    await sync_to_async(conversations.delete)(later.conversation)
    assert [row.pk async for row in Conversation.objects.all()] == [later.conversation_id]
