"""The Chat page as a browser without JavaScript sees it, over a node, a pool and a scripted engine."""

import json
import re
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient

from chat.models import Conversation, Message
from inference.catalog import recent_catalog
from inference.models import ModelFolder
from tests.helpers import await_for

pytestmark = [pytest.mark.django_db(transaction=True)]


async def ask(site, text="hello", where="/chat/", **fields):
    """Where the answer is to be seen."""
    answer = await site.post(where, {"model": "a", "text": text, **fields})
    assert answer.status_code == 302, answer.content.decode()
    return answer["Location"].partition("#")[0]


async def ended(where):
    id_ = where.strip("/").split("/")[-1]

    async def none_left():
        return not await Message.objects.filter(conversation=id_, state="answering").aexists()

    await await_for(none_left)
    return await Message.objects.filter(conversation=id_, role="assistant").order_by("created_at").alast()


async def html(site, where, **headers):
    return (await site.get(where, **headers)).content.decode()


async def test_a_question_is_answered_and_kept(site, scripted):
    where = await ask(site, "hello\nthere", system="Be short.", temperature="0", seed="3")
    answer = await ended(where)
    assert (answer.text, answer.state, answer.reason) == ("one two three", "done", "stop")
    assert answer.figures["completion_tokens"] == 3
    page = await html(site, where)
    assert "one two three" in page
    assert "hello\nthere" in page
    assert "3 tokens · 0 of 3 prompt tokens from the cache" in page
    told = scripted.heard("request")[0]
    assert [message["role"] for message in told["messages"]] == ["system", "user"]
    assert (told["temperature"], told["seed"], told["stream"]) == (0, 3, True)
    await ended(await ask(site, "and now?", where))
    said = [message["content"] for message in scripted.heard("request")[1]["messages"]]
    assert said == ["hello\nthere", "one two three", "and now?"]


async def test_an_answer_goes_on_while_nobody_looks_and_is_stopped_with_what_it_has(site):
    where = await ask(site, "hang")

    async def kept():
        return (await Message.objects.aget(role="assistant")).text == "one two three"

    await await_for(kept)
    page = await html(site, where)
    assert 'http-equiv="refresh"' in page
    assert "one two three" in page
    refused = await site.post(where, {"model": "a", "text": "more"})
    assert refused.status_code == 422
    assert "still being made" in refused.content.decode()
    await site.post(f"{where}stop/")
    answer = await ended(where)
    assert (answer.state, answer.text) == ("stopped", "one two three")
    page = await html(site, where)
    assert "You stopped this answer." in page
    assert 'http-equiv="refresh"' not in page


async def test_a_failure_is_told_in_the_language_of_the_page_and_keeps_what_was_written(site):
    for text, kept in (("refuse", ""), ("fail late", "one two three")):
        where = await ask(site, text)
        answer = await ended(where)
        assert (answer.state, answer.text, answer.problem["code"]) == ("failed", kept, "no_room")
        assert "Try again in a moment." in await html(site, where)
        assert "Попробуйте" in await html(site, where, headers={"accept-language": "ru"})


async def test_an_edit_and_another_answer_are_branches_that_can_be_gone_back_to(site, scripted):
    where = await ask(site, "first")
    await ended(where)
    question = await Message.objects.aget(role="user")
    assert (await site.post(f"{where}{question.pk}/edit/", {"text": "second"})).status_code == 302
    await ended(where)
    page = await html(site, where)
    assert "second" in page
    assert page.count(">2/2<") == 1  # ids between slashes may look like it
    assert scripted.heard("request")[-1]["messages"] == [{"role": "user", "content": "second"}]
    answer = await Message.objects.filter(role="assistant").order_by("created_at").alast()
    await site.post(f"{where}{answer.pk}/again/")
    await ended(where)
    assert (await html(site, where)).count(">2/2<") == 2
    await site.post(f"{where}{question.pk}/show/")
    page = await html(site, where)
    assert ">first</div>" in page
    assert ">second</div>" not in page
    assert await Message.objects.acount() == 5


async def test_conversations_are_found_renamed_deleted_and_brought_back(site):
    where = await ask(site, "about whales")
    await ended(where)
    await ended(await ask(site, "about trains"))
    assert "about whales</a>" in await html(site, "/chat/?q=WHALE")
    assert "about trains</a>" not in await html(site, "/chat/?q=WHALE")
    await site.post(f"{where}rename/", {"title": "Sea"})
    assert "Sea</a>" in await html(site, "/chat/")
    await site.post(f"{where}delete/")
    assert (await site.get(where)).status_code == 404
    page = await html(site, "/chat/")
    assert "Sea</a>" not in page
    undo = re.search(r'action="(/chat/\w+/undo/)"', page)[1]
    assert (await site.post(undo))["Location"] == where
    assert (await site.get(where)).status_code == 200


async def test_an_export_has_the_branch_as_markdown_and_every_branch_as_json(site):
    where = await ask(site, "first", system="Be short.")
    await ended(where)
    question = await Message.objects.aget(role="user")
    await site.post(f"{where}{question.pk}/edit/", {"text": "second"})
    await ended(where)
    text = await html(site, f"{where}export.md")
    assert text == "# first\n\n> Be short.\n\n## You\n\nsecond\n\n## a\n\none two three\n"
    kept = json.loads(await html(site, f"{where}export.json"))
    assert [(row["content"], row["shown"]) for row in kept["messages"]] == [
        ("first", False),
        ("one two three", False),
        ("second", True),
        ("one two three", True),
    ]
    assert (await site.get(f"{where}export.exe")).status_code == 404


async def test_nobody_sees_or_changes_the_conversation_of_another(site):
    where = await ask(site, "mine")
    await ended(where)
    message = await Message.objects.aget(role="user")
    other = AsyncClient()
    user = await sync_to_async(User.objects.create_user)("other", password="a long password")
    await other.aforce_login(user)
    assert (await other.get("/chat/")).status_code == 403
    await user.user_permissions.aadd(await Permission.objects.aget(codename="add_conversation"))
    assert "mine" not in await html(other, "/chat/")
    for path in ("", "export.json"):
        assert (await other.get(where + path)).status_code == 404
    for path in ("", "rename/", "delete/", f"{message.pk}/edit/", f"{message.pk}/show/"):
        changed = await other.post(where + path, {"text": "theirs", "title": "theirs", "model": "a"})
        assert changed.status_code == 404, path
    assert await Message.objects.acount() == 2
    assert await Conversation.objects.filter(title="mine", deleted_at=None).acount() == 1


async def test_what_is_filled_in_wrongly_is_said_and_nothing_is_lost(site):
    refused = await site.post("/chat/", {"model": "a", "text": "my words", "temperature": "9"})
    page = refused.content.decode()
    assert refused.status_code == 422
    assert "Temperature" in page
    assert ">my words</textarea>" in page
    assert not await Conversation.objects.aexists()


async def test_a_server_without_a_model_says_what_to_do(site):
    await ModelFolder.objects.all().adelete()
    page = await html(site, "/chat/")
    assert "No chat model was found on this server." in page
    refused = await site.post("/chat/", {"model": "a", "text": "hello"})
    assert refused.status_code == 422
    assert ">hello</textarea>" in refused.content.decode()


def write_template(model, text):
    Path(model.folders[0].path, "chat_template.jinja").write_text(text)


async def test_thinking_is_offered_where_a_template_has_it_and_told_to_it(site, make_model, scripted):
    assert 'name="thinking"' not in await html(site, "/chat/")
    model = await make_model("thinker")
    write_template(model, "{% if enable_thinking %}")
    assert 'name="thinking"' in await html(site, "/chat/?model=thinker&text=hello")
    await ended(await ask(site, model="thinker", thinking="off"))
    assert scripted.heard("request")[-1]["template"] == {"enable_thinking": False}


async def test_examples_are_offered_for_a_demo_model_in_the_language_of_the_page(site):
    assert "What is fmlx?" not in await html(site, "/chat/")
    await ModelFolder.objects.aupdate(rank=-1)
    recent_catalog.forget()
    assert "Что такое fmlx?" in await html(site, "/chat/", headers={"accept-language": "ru"})
    where = await ask(site, "", example="What is fmlx?")
    assert (await ended(where)).text == "one two three"
    assert (await Conversation.objects.aget()).title == "What is fmlx?"
