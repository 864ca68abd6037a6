"""Anthropic's endpoints: its shapes, its errors, and what becomes of its requests on the way to the engine."""

import json
from typing import Any

import anthropic.types
import httpx
import pytest
from pydantic import TypeAdapter

from tests.inference.scripted import Scripted

HELLO = [{"role": "user", "content": "hello"}]
EVENTS: TypeAdapter[Any] = TypeAdapter(anthropic.types.RawMessageStreamEvent)
Json = dict[str, Any]


async def ask(api: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await api.post("/v1/messages?beta=true", json={"model": "a", "max_tokens": 8, "messages": HELLO, **fields})


def events_of(answer: httpx.Response) -> list[Json]:
    """Each is named as its type says, and is what Anthropic's own library takes it for."""
    events = []
    for block in answer.text.strip().split("\n\n"):
        name, _, data = block.removeprefix("event: ").partition("\ndata: ")
        events.append(json.loads(data))
        assert events[-1]["type"] == name
        if name not in ("ping", "error"):
            EVENTS.validate_python(events[-1], strict=True)
    return events


async def asked(api: httpx.AsyncClient, scripted: Scripted, **fields: Any) -> Json:
    """What the engine is asked."""
    answer = await ask(api, **fields)
    assert answer.status_code == 200, answer.text
    return scripted.heard("request")[-1]


async def test_an_answer_is_a_message(api: httpx.AsyncClient) -> None:
    answer = await ask(api)
    message = anthropic.types.Message.model_validate_json(answer.content, strict=True)
    assert (message.type, message.role, message.model, message.stop_reason) == ("message", "assistant", "a", "end_turn")
    assert [block.model_dump(exclude_unset=True) for block in message.content] == [
        {"type": "text", "text": "one two three"}
    ]
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3, 3)
    assert answer.headers["request-id"] == answer.headers["x-request-id"] == message.id


async def test_a_stream_has_every_event_in_its_order(api: httpx.AsyncClient) -> None:
    answer = await ask(api, stream=True)
    events = events_of(answer)
    start, text = ["message_start", "ping", "content_block_start"], ["content_block_delta"] * 3
    assert [event["type"] for event in events] == [*start, *text, "content_block_stop", "message_delta", "message_stop"]
    assert "".join(event["delta"]["text"] for event in events[3:6]) == "one two three"
    assert events[0]["message"]["usage"]["input_tokens"] == 3
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert events[-2]["usage"]["output_tokens"] == 3


CLAUDE_CODE: Json = {
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=af31;"},
        {"type": "text", "text": "You are a tool.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "user", "content": [{"type": "text", "text": "three", "cache_control": {"type": "ephemeral"}}]},
    ],
    "metadata": {"user_id": "user_1"},
    "temperature": 1,
    "stream": True,
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
}


async def test_what_claude_code_sends_is_read(api: httpx.AsyncClient, scripted: Scripted) -> None:
    request = await asked(api, scripted, **CLAUDE_CODE)
    assert request["messages"] == [
        {"role": "system", "content": "You are a tool."},
        {"role": "user", "content": "one\n\ntwo\n\nthree"},
    ]
    assert (request["max_tokens"], request["temperature"]) == (8, 1)


async def test_an_answer_that_was_begun_is_gone_on_with(api: httpx.AsyncClient, scripted: Scripted) -> None:
    request = await asked(api, scripted, messages=[*HELLO, {"role": "assistant", "content": "The "}])
    assert (request["continue_final_message"], request["add_generation_prompt"]) == (True, False)


async def test_thinking_is_asked_of_the_engine(api: httpx.AsyncClient, scripted: Scripted) -> None:
    request = await asked(api, scripted, thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2048)
    assert request["reasoning"] == {"enabled": True, "budget": 1024, "place": "thinking"}
    assert (await asked(api, scripted, thinking={"type": "disabled"}))["reasoning"]["enabled"] is False
    assert "reasoning" not in await asked(api, scripted, thinking={"type": "adaptive"})


WEATHER = {"name": "weather", "description": "Of a city.", "input_schema": {"type": "object", "properties": {}}}
USED = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "Sunny."}]}
TURNS: Json = {
    "messages": [
        *HELLO,
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, USED]},
        {"role": "user", "content": [{**RESULT, "is_error": True}, {"type": "text", "text": "call"}]},
    ],
    "tools": [WEATHER],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
}


async def test_tools_and_their_results_are_chats(api: httpx.AsyncClient, scripted: Scripted) -> None:
    request = await asked(api, scripted, **TURNS)
    function = {"name": "weather", "arguments": '{"city": "Paris"}'}
    calls = [{"id": "toolu_1", "type": "function", "function": function}]
    assert request["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "", "tool_calls": calls, "reasoning_content": "Hm."},
        {"role": "tool", "content": "Error: Sunny.", "tool_call_id": "toolu_1"},
        {"role": "user", "content": "call"},
    ]
    parameters = {"type": "object", "properties": {}}
    shown = {"name": "weather", "description": "Of a city.", "parameters": parameters}
    assert request["tools"] == [{"type": "function", "function": shown}]
    assert (request["tool_choice"], request["parallel_tool_calls"]) == ("required", False)


async def test_thoughts_and_calls_are_blocks_of_their_own(api: httpx.AsyncClient) -> None:
    whole = (await ask(api, **TURNS)).json()
    thought, call = whole["content"]
    assert (thought["type"], thought["thinking"], whole["stop_reason"]) == ("thinking", "Let me see.", "tool_use")
    assert {**call, "id": ""} == {"type": "tool_use", "id": "", "name": "weather", "input": {"city": "Paris"}}
    events = events_of(await ask(api, stream=True, **TURNS))
    kinds = [event["delta"]["type"] for event in events if event["type"] == "content_block_delta"]
    assert kinds == ["thinking_delta", "thinking_delta", "signature_delta", "input_json_delta", "input_json_delta"]
    arguments = "".join(event["delta"].get("partial_json", "") for event in events if "delta" in event)
    assert json.loads(arguments) == {"city": "Paris"}
    assert [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"] == [
        "thinking",
        "tool_use",
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    omitted = (await ask(api, thinking={"type": "adaptive", "display": "omitted"}, **TURNS)).json()
    assert omitted["content"][0]["thinking"] == ""


async def test_a_broken_call_is_text_with_a_warning(api: httpx.AsyncClient) -> None:
    said = [{"role": "user", "content": "broken"}]
    whole = (await ask(api, messages=said)).json()
    assert (whole["content"][0]["text"], whole["stop_reason"]) == ("one two three", "end_turn")
    assert "given as text" in whole["warning"]
    assert events_of(await ask(api, messages=said, stream=True))[-2]["delta"]["warning"] == whole["warning"]
    assert "warning" not in (await ask(api)).json()


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
REFUSED: list[tuple[Json, str]] = [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
    ({"messages": [{"role": "user", "content": [{"type": "music"}]}]}, "messages.0.content.0"),
    ({"messages": [{"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "x"}]}]}, "messages.0"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, IMAGE]}]}, "messages.0.content.1"),
    ({"messages": [{"role": "user", "content": [{**RESULT, "content": [IMAGE]}]}]}, "messages.0.content.0.content.0"),
    ({"temperature": 3}, "temperature"),
    ({"stop_sequences": [""]}, "stop_sequences.0"),
    ({"stop_sequences": "x"}, "stop_sequences"),
    ({"container": "x"}, "container"),
    ({"mcp_servers": []}, "mcp_servers"),
    ({"speed": "fast"}, "speed"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0.type"),
    ({"tools": [{"name": "x"}]}, "tools.0.input_schema"),
    ({"thinking": {"type": "between_tools"}}, "thinking.type"),
    ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, "context_management.edits"),
    ({"foo": 1}, "foo"),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED)
async def test_what_cannot_be_done_is_refused_in_anthropics_shape(
    api: httpx.AsyncClient, scripted: Scripted, fields: Json, param: str
) -> None:
    answer = await ask(api, **fields)
    error = answer.json()
    assert (answer.status_code, error["type"], error["error"]["type"]) == (400, "error", "invalid_request_error"), error
    assert param in error["error"]["message"]
    assert answer.headers["request-id"] == error["request_id"]
    assert scripted.starts == []


async def test_every_kind_of_failure_has_anthropics_type(api: httpx.AsyncClient) -> None:
    async def kind(answer: httpx.Response) -> tuple[int, str]:
        return answer.status_code, answer.json()["error"]["type"]

    assert await kind(await ask(api, model="nobody")) == (404, "not_found_error")
    assert await kind(await ask(api, messages=[{"role": "user", "content": "refuse"}])) == (503, "overloaded_error")
    assert await kind(await api.get("/v1/messages")) == (405, "invalid_request_error")
    assert await kind(await api.get("/v1/messages/x")) == (404, "not_found_error")
    old = {"anthropic-version": "2023-01-01"}
    assert await kind(await api.post("/v1/messages", json={}, headers=old)) == (400, "invalid_request_error")
    nobody = {"Authorization": "Bearer no"}
    assert await kind(await api.post("/v1/messages", json={}, headers=nobody)) == (401, "authentication_error")


async def test_what_fails_after_the_first_event_is_an_error_event(api: httpx.AsyncClient) -> None:
    events = events_of(await ask(api, messages=[{"role": "user", "content": "fail late"}], stream=True))
    assert (events[-1]["type"], events[-1]["error"]["type"]) == ("error", "overloaded_error")


async def test_tokens_are_counted_without_an_answer(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/messages/count_tokens", json={"model": "a", "messages": HELLO, "system": "x"})
    assert answer.json() == {"input_tokens": 3}


async def test_tokens_of_a_text_and_text_of_tokens(api: httpx.AsyncClient) -> None:
    body = {"model": "a", "prompt": "x", "return_token_strs": True}
    found = (await api.post("/v1/tokenize", json=body)).json()
    assert found == {"count": 3, "max_model_len": 4096, "tokens": [1, 2, 3], "token_strs": ["one", " two", " three"]}
    assert (await api.post("/v1/tokenize", json={"messages": HELLO})).json()["token_strs"] is None
    assert (await api.post("/v1/detokenize", json={"tokens": [1]})).json() == {"prompt": "one two three"}
    for path, wrong in (("tokenize", {}), ("tokenize", {"prompt": "x", "messages": HELLO}), ("detokenize", {})):
        assert (await api.post(f"/v1/{path}", json=wrong)).status_code == 400
