"""The two endpoints: what is refused before an engine hears of it, and what a refusal later looks like."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from pytest_django import Settings

from inference.api import generation
from inference.catalog import Served, recent_catalog
from inference.models import ApiKey, ModelFolder, ModelSettings
from inference.pool import Pool
from tests.helpers import await_for
from tests.inference.scripted import Scripted
from tests.openai_schema import check

MakeModel = Callable[..., Awaitable[Served]]
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def api(client: httpx.AsyncClient, pool: Pool, make_model: MakeModel) -> httpx.AsyncClient:
    owner = await sync_to_async(User.objects.create_superuser)("admin", password="a long password")
    _, secret = await sync_to_async(ApiKey.make)("test", owner)
    client.headers["Authorization"] = f"Bearer {secret}"
    await make_model("a")
    await make_model("film", type_="video")
    return client


async def chat(api: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await api.post("/v1/chat/completions", json={"model": "a", "messages": HELLO, **fields})


def chunks_of(answer: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


async def test_an_answer_has_every_key_that_openai_requires(api: httpx.AsyncClient) -> None:
    answer = await chat(api)
    check("CreateChatCompletionResponse", answer.json())
    assert answer.json()["choices"][0]["message"] == {
        "role": "assistant",
        "content": "one two three",
        "refusal": None,
    }
    assert answer.json()["usage"]["total_tokens"] == 6
    assert answer.headers["X-Request-Id"] == answer.json()["id"]


async def test_a_stream_says_the_role_then_the_text_then_why_it_ends(api: httpx.AsyncClient) -> None:
    chunks = chunks_of(await chat(api, stream=True, stream_options={"include_usage": True}))
    for chunk in chunks:
        check("CreateChatCompletionStreamResponse", chunk)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert choices[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert "".join(choice["delta"].get("content", "") for choice in choices) == "one two three"
    assert [choice["finish_reason"] for choice in choices] == [None] * 4 + ["stop"]
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * 5
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"]) == ([], 3)


async def test_usage_is_not_in_a_stream_that_did_not_ask(api: httpx.AsyncClient) -> None:
    assert all("usage" not in chunk for chunk in chunks_of(await chat(api, stream=True)))


async def test_every_chunk_says_what_was_used_until_then_if_asked(api: httpx.AsyncClient) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = chunks_of(await chat(api, stream=True, stream_options=options))
    for chunk in chunks:
        check("CreateChatCompletionStreamResponse", chunk)
    assert [chunk["usage"]["completion_tokens"] for chunk in chunks[:4]] == [1, 1, 2, 3]
    assert chunks[0]["usage"]["total_tokens"] == 4
    assert chunks[-1]["usage"]["completion_tokens"] == 3
    body = {"model": "a", "prompt": "hello", "stream": True, "stream_options": options}
    texts = chunks_of(await api.post("/v1/completions", json=body))
    assert [chunk["usage"]["completion_tokens"] for chunk in texts[:3]] == [1, 2, 3]


async def test_a_thought_and_a_call_are_told_apart_streamed_or_not(api: httpx.AsyncClient) -> None:
    said = [{"role": "user", "content": "call"}]
    whole = (await chat(api, messages=said)).json()
    check("CreateChatCompletionResponse", whole)
    called = {"name": "weather", "arguments": '{"city": "Paris"}'}
    assert whole["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "reasoning_content": "Let me see.",
        "tool_calls": [{"id": "call_1", "type": "function", "function": called}],
    }
    assert whole["choices"][0]["finish_reason"] == "tool_calls"
    deltas = []
    for chunk in chunks_of(await chat(api, messages=said, stream=True)):
        check("CreateChatCompletionStreamResponse", chunk)
        deltas += [choice["delta"] for choice in chunk["choices"]]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "Let me see."
    pieces = [piece for delta in deltas for piece in delta.get("tool_calls", ())]
    assert (pieces[0]["id"], pieces[0]["type"], pieces[0]["function"]["name"]) == ("call_1", "function", "weather")
    assert "".join(piece["function"]["arguments"] for piece in pieces) == called["arguments"]


async def test_a_broken_call_is_text_with_a_warning(api: httpx.AsyncClient) -> None:
    said = [{"role": "user", "content": "broken"}]
    whole = (await chat(api, messages=said)).json()["choices"][0]
    assert (whole["message"]["content"], whole["finish_reason"]) == ("one two three", "stop")
    assert "given as text" in whole["warning"]
    last = chunks_of(await chat(api, messages=said, stream=True))[-1]["choices"][0]
    assert (last["warning"], last["finish_reason"]) == (whole["warning"], "stop")


async def test_completions_of_several_prompts_are_numbered(api: httpx.AsyncClient) -> None:
    body = {"model": "a", "prompt": ["hello", "again"], "echo": True}
    whole = (await api.post("/v1/completions", json=body)).json()
    check("CreateCompletionResponse", whole)
    texts = {0: "helloone two three", 1: "againone two three"}
    assert {choice["index"]: choice["text"] for choice in whole["choices"]} == texts
    streamed = dict.fromkeys(texts, "")
    for chunk in chunks_of(await api.post("/v1/completions", json={**body, "stream": True})):
        check("CreateCompletionResponse", {**chunk, "choices": []})
        for choice in chunk["choices"]:
            streamed[choice["index"]] += choice["text"]
    assert streamed == texts


async def test_a_refusal_is_a_status_and_not_a_stream(api: httpx.AsyncClient) -> None:
    for prompt in ("refuse", "fail"):
        said = [{"role": "user", "content": prompt}]
        for stream in (False, True):
            answer = await chat(api, messages=said, stream=stream)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_room")
            assert answer.headers["Retry-After"] in {"3", "1"}


async def test_what_fails_after_the_first_chunk_is_an_error_event_without_an_end(api: httpx.AsyncClient) -> None:
    said = [{"role": "user", "content": "fail late"}]
    answer = await chat(api, messages=said, stream=True)
    *_, last = [block for block in answer.text.split("\n\n") if block]
    assert last.startswith("event: error\ndata: ")
    assert json.loads(last.partition("data: ")[2])["error"]["code"] == "no_room"
    assert "[DONE]" not in answer.text


async def test_a_long_wait_is_filled_with_comments(
    api: httpx.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "KEEP_ALIVE_SECONDS", 0.05)
    request = {"model": "a", "messages": [{"role": "user", "content": "hang"}], "stream": True}
    asking = asyncio.create_task(api.post("/v1/chat/completions", json=request))
    await await_for(lambda: "a" in pool.entries and pool.entries["a"].state()["active_requests"])
    await asyncio.sleep(0.2)  # four times what it waits for
    await pool.unload("a", "the test is over")
    assert ": keep-alive" in (await asking).text


@pytest.mark.parametrize("waits", ["for the load", "for the prompt"])
async def test_neither_a_load_nor_a_long_prompt_leaves_the_line_silent(
    waits: str, api: httpx.AsyncClient, pool: Pool, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    if waits == "for the prompt":
        assert (await chat(api)).status_code == 200
    else:
        scripted.gate.clear()
        asyncio.get_running_loop().call_later(0.5, scripted.gate.set)
    monkeypatch.setattr(generation, "KEEP_ALIVE_SECONDS", 0.1)
    said = [{"role": "user", "content": "hello" if waits == "for the load" else "fill"}]
    answer = await chat(api, messages=said, stream=True)
    assert answer.text.startswith(": keep-alive\n\n")
    assert "[DONE]" in answer.text
    assert pool.entries["a"].users == 0


async def test_a_listener_who_leaves_while_the_model_loads_is_forgotten(
    api: httpx.AsyncClient, pool: Pool, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "KEEP_ALIVE_SECONDS", 0.05)
    scripted.gate.clear()
    asking = asyncio.create_task(chat(api, stream=True))
    await await_for(lambda: "a" in pool.entries and pool.entries["a"].users == 1)
    asking.cancel()
    await await_for(lambda: pool.entries["a"].users == 0)
    scripted.gate.set()
    assert (await chat(api)).status_code == 200


async def test_a_name_that_is_not_known_goes_to_the_fallback_if_there_is_one(
    api: httpx.AsyncClient, settings: Settings
) -> None:
    assert (await chat(api, model="gpt-9")).status_code == 404
    for fallback, status in (("a", 200), ("film", 404), ("nobody", 404)):
        settings.FMLX = settings.FMLX.model_copy(update={"fallback_model": fallback})
        answer = await chat(api, model="gpt-9")
        assert answer.status_code == status, fallback
        assert status == 404 or answer.json()["model"] == "a"


TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
RESULT = {"role": "tool", "tool_call_id": "call_1"}
TEXT = {"type": "text", "text": "hello"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
REFUSED = [
    ({"messages": []}, "messages", "invalid_value"),
    ({"messages": "hello"}, "messages", "invalid_value"),
    ({"messages": [{"role": "user"}]}, "messages.0", "invalid_value"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role", "invalid_value"),
    ({"messages": [{"role": "user", "content": [TEXT, IMAGE]}]}, "messages.0.content.1", "unsupported_parameter"),
    ({"messages": [*HELLO, {**RESULT, "content": [IMAGE]}]}, "messages.1.content.0", "unsupported_parameter"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0", "invalid_value"),
    ({"messages": [{"role": "user", "content": ["hello"]}]}, "messages.0.content.0", "invalid_value"),
    ({"messages": [{"role": "user", "content": "\ud800"}]}, "body", "invalid_value"),
    ({"stop": 5}, "stop", "invalid_value"),
    ({"stop": [""]}, "stop.0", "invalid_value"),
    ({"stop": ["x"] * 17}, "stop", "invalid_value"),
    ({"n": 0}, "n", "invalid_value"),
    ({"n": True}, "n", "invalid_value"),
    ({"temperature": -1}, "temperature", "invalid_value"),
    ({"temperature": 1e400}, None, "invalid_value"),
    ({"top_p": "1"}, "top_p", "invalid_value"),
    ({"seed": 2**70}, "seed", "invalid_value"),
    ({"max_tokens": 0}, "max_tokens", "invalid_value"),
    ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens", "invalid_value"),
    ({"logit_bias": {"5": 101}}, "logit_bias.5", "invalid_value"),
    ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
    ({"chat_template_kwargs": {"messages": []}}, "chat_template_kwargs", "invalid_value"),
    ({"tools": [{"type": "function"}]}, "tools.0.function", "invalid_value"),
    ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools.0.type", "invalid_value"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name", "invalid_value"),
    ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice", "invalid_value"),
    ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
    ({"functions": [{"name": "x"}]}, "functions", "unsupported_parameter"),
    ({"messages": [{"role": "tool", "content": "5"}]}, "messages.0", "invalid_value"),
    ({"messages": [{"role": "user", "content": "5", "tool_calls": [CALL]}]}, "messages.0", "invalid_value"),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "x"}]}]},
        "messages.0.tool_calls.0.function",
        "invalid_value",
    ),
    ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    ({"response_format": {"type": "json_schema"}}, "response_format", "invalid_value"),
    ({"structured_outputs": {"regex": "a", "choice": ["b"]}}, "structured_outputs", "invalid_value"),
    ({"structured_outputs": {"choice": []}}, "structured_outputs.choice", "invalid_value"),
    (
        {"structured_outputs": {"regex": "a"}, "response_format": {"type": "json_object"}},
        "structured_outputs",
        "invalid_value",
    ),
    ({"modalities": ["text", "audio"]}, "modalities", "unsupported_parameter"),
    ({"audio": {"voice": "x"}}, "audio", "unsupported_parameter"),
    ({"store": True}, "store", "unsupported_parameter"),
    ({"reasoning_effort": "much"}, "reasoning_effort", "invalid_value"),
    ({"thinking_token_budget": -1}, "thinking_token_budget", "invalid_value"),
    ({"foo": 1}, "foo", "unknown_parameter"),
    ({"model": "b"}, "model", "model_not_found"),
    ({"model": "film"}, "model", "wrong_model_type"),
    ({"model": 7}, "model", "invalid_value"),
]


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED)
async def test_what_cannot_be_done_is_refused_by_name_before_an_engine_is_loaded(
    api: httpx.AsyncClient, scripted: Scripted, fields: dict[str, Any], param: str | None, code: str
) -> None:
    body = json.dumps({"model": "a", "messages": HELLO, **fields})
    answer = await api.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404 if code == "model_not_found" else 400, code), error
    assert param is None or error["param"] == param
    assert scripted.starts == []


async def test_what_asks_for_what_happens_anyway_is_accepted(api: httpx.AsyncClient) -> None:
    inert = {"store": False, "response_format": {"type": "text"}, "modalities": ["text"], "service_tier": "auto"}
    nulls = dict.fromkeys(("tools", "stop", "seed", "temperature", "stream", "functions"))
    answered = {"role": "assistant", "content": "x", "refusal": None, "tool_calls": None, "annotations": None}
    fields = {"user": "me", "metadata": {"a": "b"}, **inert, **nulls, "messages": [*HELLO, answered, *HELLO]}
    assert (await chat(api, **fields)).status_code == 200


ASKED = [
    ({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [TOOL], "tool_choice": "auto"}),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        {"tool_choice": {"name": "weather"}},
    ),
    (
        {
            "tools": [TOOL],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "weather"}}]},
            },
            "parallel_tool_calls": False,
        },
        {"tool_choice": {"names": ["weather"], "mode": "required"}, "parallel_tool_calls": False},
    ),
    ({"reasoning_effort": "low"}, {"reasoning": {"effort": "low", "place": "reasoning_effort"}}),
    ({"thinking_token_budget": 5}, {"reasoning": {"budget": 5, "place": "thinking_token_budget"}}),
    ({"response_format": {"type": "json_object"}}, {"structure": {"json_object": True, "place": "response_format"}}),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}},
        {
            "structure": {
                "json_schema": {"type": "object"},
                "lenient": True,
                "place": "response_format.json_schema.schema",
            }
        },
    ),
    (
        {"structured_outputs": {"json": {"type": "null"}}},
        {"structure": {"json_schema": {"type": "null"}, "place": "structured_outputs.json"}},
    ),
    (
        {"messages": [*HELLO, {"role": "assistant", "tool_calls": [CALL]}, {**HELLO[0], **RESULT}]},
        {"messages": [*HELLO, {"role": "assistant", "content": "", "tool_calls": [CALL]}, {**HELLO[0], **RESULT}]},
    ),
    *(
        (
            {"messages": [*HELLO, {**turn, "content": [TEXT, TEXT]}]},
            {"messages": [*HELLO, {**turn, "content": 2 * "hello"}]},
        )
        for turn in ({"role": "system"}, {"role": "user"}, {"role": "assistant"}, RESULT)
    ),
]


@pytest.mark.parametrize(("fields", "told"), ASKED)
async def test_what_an_engine_is_told(
    api: httpx.AsyncClient, scripted: Scripted, fields: dict[str, Any], told: dict[str, Any]
) -> None:
    assert (await chat(api, **fields)).status_code == 200
    assert scripted.heard("request")[-1].items() >= told.items()


async def test_the_best_of_several_completions_is_asked_for(api: httpx.AsyncClient, scripted: Scripted) -> None:
    body = {"model": "a", "prompt": "hello", "best_of": 3}
    assert (await api.post("/v1/completions", json=body)).status_code == 200
    assert scripted.heard("request")[-1]["best_of"] == 3
    for wrong in ({"n": 4}, {"stream": True}, {"best_of": 99}):
        answer = await api.post("/v1/completions", json={**body, **wrong})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "best_of")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"suffix": " end"}, "suffix"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"echo": True, "prompt": [1, 2]}, "echo"),
    ],
)
async def test_what_completions_do_not_honour_is_refused_by_its_name(
    api: httpx.AsyncClient, scripted: Scripted, fields: dict[str, Any], param: str
) -> None:
    error = (await api.post("/v1/completions", json={"model": "a", "prompt": "hello", **fields})).json()["error"]
    assert (error["param"], error["code"]) == (param, "unsupported_parameter")
    assert scripted.starts == []


async def test_the_video_model_is_sent_to_its_endpoint_and_the_chat_model_to_its_own(api: httpx.AsyncClient) -> None:
    assert "POST /v1/videos" in (await chat(api, model="film")).json()["error"]["message"]
    answer = await api.post("/v1/videos", json={"model": "a", "prompt": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "wrong_model_type")
    assert "POST /v1/chat/completions" in answer.json()["error"]["message"]


async def test_without_a_model_the_default_answers_and_an_alias_names_one(
    api: httpx.AsyncClient, make_model: MakeModel
) -> None:
    await make_model("b", default=True, alias="best")
    recent_catalog.forget()
    answer = await api.post("/v1/chat/completions", json={"messages": HELLO})
    assert answer.json()["model"] == "b"
    await sync_to_async(ModelSettings.objects.update)(default=False)
    recent_catalog.forget()
    assert (await api.post("/v1/chat/completions", json={"messages": HELLO})).json()["model"] == "a"
    assert (await chat(api, model="Best")).json()["model"] == "b"
    await sync_to_async(ModelFolder.objects.filter(name="a").update)(rank=-1)
    recent_catalog.forget()
    assert (await api.post("/v1/chat/completions", json={"messages": HELLO})).json()["model"] == "b", "a is a demo"


async def test_models_show_what_is_in_memory_and_are_loaded_and_unloaded(api: httpx.AsyncClient) -> None:
    listed = {model["id"]: model for model in (await api.get("/v1/models")).json()["data"]}
    assert (listed["a"]["loaded"], listed["a"]["pinned"], listed["film"]["loaded"]) == (False, False, False)
    loaded = (await api.post("/v1/models/a/load")).json()
    check("Model", loaded)
    assert (loaded["loaded"], loaded["context_limit"]) == (True, 4096)
    assert not (await api.post("/v1/models/a/unload")).json()["loaded"]
    assert (await api.post("/v1/models/film/load")).json()["error"]["code"] == "wrong_model_type"
    assert (await api.post("/v1/models/rescan")).status_code == 202


async def test_only_json_is_read(api: httpx.AsyncClient) -> None:
    assert (await api.post("/v1/chat/completions", data={"model": "a"})).status_code == 415
    for content in (b"", b"[]", b"{", b'{"messages": "\xff"}', b'{"n": NaN}'):
        answer = await api.post("/v1/chat/completions", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
