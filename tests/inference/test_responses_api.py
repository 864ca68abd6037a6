"""OpenAI's Responses: its objects and events, what is stored for whom, and what is made in the background."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.utils import timezone

from inference.models import ApiKey, StoredResponse
from inference.responses import store
from tests.helpers import await_for
from tests.inference.scripted import Scripted
from tests.openai_schema import check

Json = dict[str, Any]
EVENTS = {
    "response.created": "ResponseCreatedEvent",
    "response.queued": "ResponseQueuedEvent",
    "response.in_progress": "ResponseInProgressEvent",
    "response.output_item.added": "ResponseOutputItemAddedEvent",
    "response.content_part.added": "ResponseContentPartAddedEvent",
    "response.output_text.delta": "ResponseTextDeltaEvent",
    "response.output_text.done": "ResponseTextDoneEvent",
    "response.reasoning_text.delta": "ResponseReasoningTextDeltaEvent",
    "response.reasoning_text.done": "ResponseReasoningTextDoneEvent",
    "response.function_call_arguments.delta": "ResponseFunctionCallArgumentsDeltaEvent",
    "response.function_call_arguments.done": "ResponseFunctionCallArgumentsDoneEvent",
    "response.content_part.done": "ResponseContentPartDoneEvent",
    "response.output_item.done": "ResponseOutputItemDoneEvent",
    "response.completed": "ResponseCompletedEvent",
    "response.failed": "ResponseFailedEvent",
    "error": "ResponseErrorEvent",
}
TEXT = ["response.output_item.added", "response.content_part.added"]
TEXT += ["response.output_text.delta"] * 3
TEXT += ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"]


async def ask(api: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await api.post("/v1/responses", json={"model": "a", "input": "hello", **fields})


async def made(api: httpx.AsyncClient, **fields: Any) -> Json:
    answer = await ask(api, **fields)
    assert answer.status_code == 200, answer.text
    check("Response", answer.json())
    return dict(answer.json())


def events_of(text: str, first: int = 0) -> list[Json]:
    """Each is named as its type says, is what OpenAI's document says, and has the next number."""
    events = []
    for block in text.strip().split("\n\n"):
        if block.startswith(":"):
            continue
        name, _, data = block.removeprefix("event: ").partition("\ndata: ")
        events.append(json.loads(data))
        assert events[-1]["type"] == name
        check(EVENTS[name], events[-1])
    assert [event["sequence_number"] for event in events] == list(range(first, first + len(events)))
    return events


def types_of(events: list[Json]) -> list[str]:
    return [event["type"] for event in events]


async def ended(api: httpx.AsyncClient, response_id: str) -> Json:
    async def look() -> Json | None:
        found = (await api.get(f"/v1/responses/{response_id}")).json()
        return None if found["status"] in ("queued", "in_progress") else found

    return dict(await await_for(look))


async def test_an_answer_is_a_response_that_is_stored_until_it_is_deleted(api: httpx.AsyncClient) -> None:
    response = await made(api, instructions="Be brief.", metadata={"a": "b"})
    assert (response["status"], response["output"][0]["content"][0]["text"]) == ("completed", "one two three")
    assert response["usage"]["total_tokens"] == 6
    place = f"/v1/responses/{response['id']}"
    assert (await api.get(place)).json() == response
    assert (await api.delete(place)).json() == {"id": response["id"], "object": "response", "deleted": True}
    gone = await api.get(place)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "response_not_found")


async def test_what_is_not_to_be_stored_is_not(api: httpx.AsyncClient) -> None:
    response = await made(api, store=False)
    assert (await api.get(f"/v1/responses/{response['id']}")).status_code == 404


async def test_a_stream_has_every_event_in_its_order_and_is_streamed_again(api: httpx.AsyncClient) -> None:
    answer = await ask(api, stream=True)
    events = events_of(answer.text)
    assert types_of(events) == ["response.created", "response.in_progress", *TEXT]
    assert "".join(event.get("delta", "") for event in events) == "one two three"
    response = events[-1]["response"]
    place = f"/v1/responses/{response['id']}"
    assert (await api.get(place)).json() == response
    assert (await api.get(f"{place}?stream=true")).text == answer.text
    later = events_of((await api.get(f"{place}?stream=true&starting_after=5")).text, first=6)
    assert later == events[6:]
    whole = await made(api)
    refused = await api.get(f"/v1/responses/{whole['id']}?stream=true")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "stream")


async def test_thoughts_and_calls_are_items_of_their_own(api: httpx.AsyncClient) -> None:
    whole = await made(api, input="call", include=["reasoning.encrypted_content"])
    streamed = events_of((await ask(api, input="call", stream=True)).text)[-1]["response"]
    for response in (whole, streamed):
        thought, call = response["output"]
        assert thought["content"] == [{"type": "reasoning_text", "text": "Let me see."}]
        assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Paris"})
    sealed = {"type": "reasoning", "summary": [], "encrypted_content": whole["output"][0]["encrypted_content"]}
    assert (await ask(api, input=[sealed, {"role": "user", "content": "hello"}])).status_code == 200
    forged = {**sealed, "encrypted_content": "x"}
    error = (await ask(api, input=[forged, {"role": "user", "content": "hello"}])).json()["error"]
    assert error["param"] == "input.0.encrypted_content"


async def test_a_conversation_goes_on_from_what_is_stored(api: httpx.AsyncClient, scripted: Scripted) -> None:
    first = await made(api, instructions="Be brief.")
    second = await made(api, previous_response_id=first["id"], input="again")
    await made(api, previous_response_id=second["id"], input=[{"role": "user", "content": "more"}])
    said = [(message["role"], message["content"]) for message in scripted.heard("request")[-1]["messages"]]
    answer = ("assistant", "one two three")
    assert said == [("user", "hello"), answer, ("user", "again"), answer, ("user", "more")]
    await api.delete(f"/v1/responses/{first['id']}")
    broken = await ask(api, previous_response_id=second["id"])
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "previous_response_not_found")


async def test_what_was_asked_is_listed_page_by_page(api: httpx.AsyncClient) -> None:
    items = [{"role": "user", "content": text} for text in ("a", "b", "c")]
    response = await made(api, input=items)
    place = f"/v1/responses/{response['id']}/input_items"
    pages = [(await api.get(place, params={"limit": 2, "order": "asc"})).json()]
    pages.append((await api.get(place, params={"order": "asc", "after": pages[0]["last_id"]})).json())
    for page in pages:
        check("ResponseItemList", page)
    assert [item["content"][0]["text"] for page in pages for item in page["data"]] == ["a", "b", "c"]
    assert [page["has_more"] for page in pages] == [True, False]
    assert (await api.get(place, params={"after": "nobody"})).json()["error"]["param"] == "after"


async def test_another_key_sees_none_of_it(api: httpx.AsyncClient) -> None:
    response = await made(api)
    owner = await sync_to_async(User.objects.create_user)("other")
    _, secret = await sync_to_async(ApiKey.make)("other", owner)
    place, other = f"/v1/responses/{response['id']}", {"Authorization": f"Bearer {secret}"}
    asking = [
        api.get(place, headers=other),
        api.delete(place, headers=other),
        api.get(f"{place}/input_items", headers=other),
    ]
    assert [(await answer).status_code for answer in asking] == [404, 404, 404]
    body = {"model": "a", "input": "x", "previous_response_id": response["id"]}
    assert (await api.post("/v1/responses", json=body, headers=other)).status_code == 400
    assert (await api.get(place)).status_code == 200


async def test_what_is_made_in_the_background_goes_on_without_a_listener(api: httpx.AsyncClient) -> None:
    response = await made(api, background=True)
    assert (response["status"], response["output"]) == ("queued", [])
    done = await ended(api, response["id"])
    check("Response", done)
    assert (done["status"], done["output"][0]["content"][0]["text"]) == ("completed", "one two three")
    streamed = events_of((await ask(api, background=True, stream=True)).text)
    assert types_of(streamed) == ["response.created", "response.queued", "response.in_progress", *TEXT]


async def test_a_background_response_is_cancelled(api: httpx.AsyncClient, scripted: Scripted) -> None:
    response = await made(api, background=True, input="hang")
    await await_for(lambda: bool(scripted.heard("request")))
    cancelled = (await api.post(f"/v1/responses/{response['id']}/cancel")).json()
    check("Response", cancelled)
    assert cancelled["status"] == "cancelled"
    await await_for(lambda: bool(scripted.heard("abort")))
    assert (await api.get(f"/v1/responses/{response['id']}")).json()["status"] == "cancelled"
    foreground = await made(api)
    assert (await api.post(f"/v1/responses/{foreground['id']}/cancel")).status_code == 400


async def test_one_whose_process_died_is_made_again(api: httpx.AsyncClient) -> None:
    response = await made(api, background=True)
    await ended(api, response["id"])
    gone = timezone.now() - timedelta(seconds=60)
    asked = {"model": "a", "input": "hello", "background": True}
    body = {**response, "status": "in_progress"}
    lost = {"status": "in_progress", "maker": "dead", "seen_at": gone, "asked": asked, "body": body}
    await StoredResponse.objects.filter(pk=response["id"]).aupdate(**lost)
    assert (await ended(api, response["id"]))["status"] == "completed"


async def test_what_fails_says_so_in_the_stream_and_in_what_is_stored(api: httpx.AsyncClient) -> None:
    events = events_of((await ask(api, input="fail late", stream=True)).text)
    assert types_of(events)[-2:] == ["error", "response.failed"]
    assert (events[-2]["code"], events[-1]["response"]["error"]["code"]) == ("no_room", "server_error")
    kept = (await api.get(f"/v1/responses/{events[-1]['response']['id']}")).json()
    assert kept["status"] == "failed"
    refused = await ask(api, input="refuse")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "no_room")


async def test_the_oldest_are_let_go_of(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [(await made(api))["id"] for _ in range(3)]
    monkeypatch.setattr(store, "KEPT_BYTES", 1 + (await StoredResponse.objects.aget(pk=ids[-1])).size_bytes)
    await sync_to_async(store.purge)()
    assert [row.pk async for row in StoredResponse.objects.all()] == ids[-1:]
    old = timezone.now() - timedelta(days=31)
    await StoredResponse.objects.filter(pk=ids[-1]).aupdate(created_at=old)
    await sync_to_async(store.purge)()
    assert not await StoredResponse.objects.aexists()


async def test_a_broken_call_is_text_with_a_warning(api: httpx.AsyncClient) -> None:
    whole = await made(api, input="broken")
    assert (whole["output"][0]["content"][0]["text"], whole["status"]) == ("one two three", "completed")
    assert "given as text" in whole["warning"]
    streamed = events_of((await ask(api, input="broken", stream=True)).text)[-1]["response"]
    assert streamed["warning"] == whole["warning"]
    assert (await api.get(f"/v1/responses/{streamed['id']}")).json()["warning"] == whole["warning"]


async def test_what_a_tool_gave_is_a_text_or_parts_of_it(api: httpx.AsyncClient, scripted: Scripted) -> None:
    for output in ("Sunny.", [{"type": "input_text", "text": "Sun"}, {"type": "input_text", "text": "ny."}]):
        await made(api, input=[{"role": "user", "content": "hello"}, CALLED, {**RESULT, "output": output}])
        told = scripted.heard("request")[-1]["messages"][-1]
        assert told == {"role": "tool", "content": "Sunny.", "tool_call_id": "call_1"}


CALLED = {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "call_1"}
TEXT_PART = [{"type": "input_text", "text": "x"}]
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
REFUSED: list[tuple[Json, str, str | None]] = [
    ({"input": []}, "input", "invalid_value"),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0", "invalid_value"),
    ({"input": [{"role": "robot", "content": "x"}]}, "input.0.role", "invalid_value"),
    ({"input": [{"role": "user", "content": [{"type": "music", "file_id": "x"}]}]}, "input.0.content.0", None),
    ({"input": [{"role": "user", "content": [*TEXT_PART, IMAGE]}]}, "input.0.content.1", "unsupported_parameter"),
    ({"input": [CALLED, {**RESULT, "output": [IMAGE]}]}, "input.1.output.0", "unsupported_parameter"),
    ({"temperature": 3}, "temperature", "invalid_value"),
    ({"max_output_tokens": 0}, "max_output_tokens", "invalid_value"),
    ({"conversation": "x"}, "conversation", "unsupported_parameter"),
    ({"prompt": {"id": "x"}}, "prompt", "unsupported_parameter"),
    ({"truncation": "auto"}, "truncation", "unsupported_parameter"),
    ({"tools": [{"type": "web_search"}]}, "tools.0.type", "invalid_value"),
    ({"reasoning": {"summary": "detailed"}}, "reasoning.summary", "invalid_value"),
    ({"include": ["web_search_call.results"]}, "include.0", "invalid_value"),
    ({"background": True, "store": False}, "store", "invalid_value"),
    ({"metadata": {"a": 1}}, "metadata.a", "invalid_value"),
    ({"previous_response_id": "resp_x"}, "previous_response_id", "previous_response_not_found"),
    ({"previous_response_id": ""}, "previous_response_id", "previous_response_not_found"),
    ({"foo": 1}, "foo", "unknown_parameter"),
    ({"model": "nobody"}, "model", "model_not_found"),
]


async def test_what_cannot_be_done_is_refused_by_name(api: httpx.AsyncClient, scripted: Scripted) -> None:
    for fields, param, code in REFUSED:
        answer = await ask(api, **fields)
        error = answer.json()["error"]
        assert answer.status_code == (404 if code == "model_not_found" else 400), fields
        assert error["param"] == param, error
        assert code in (None, error["code"]), error
    assert scripted.starts == []
    assert not await StoredResponse.objects.aexists()


async def test_a_request_is_cancelled_by_its_key(api: httpx.AsyncClient, scripted: Scripted) -> None:
    asking = asyncio.create_task(ask(api, input="hang", stream=True))
    await await_for(lambda: bool(scripted.heard("request")))
    call = scripted.heard("request")[-1]["id"].rpartition("-")[0]
    assert (await api.post(f"/v1/requests/{call}/cancel")).json()["cancelled"]
    answer = await asking
    assert events_of(answer.text)[-2]["code"] == "request_cancelled"
    await await_for(lambda: bool(scripted.heard("abort")))
    assert (await api.post(f"/v1/requests/{call}/cancel")).json()["error"]["code"] == "request_not_found"
