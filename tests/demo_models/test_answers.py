"""The demo chat model answers rightly, over HTTP: what it was taught, in words that it was not shown.

These are the tests that see whether the path from prompt to answer is whole. docs/testing.md says which faults were put
in, and which of these saw them.
"""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from demo_models import shipped
from demo_models.chat import trials
from demo_models.chat.conversation import Conversation
from tests.house import Client

MODEL = "demo-chat"
pytestmark = [
    pytest.mark.runtime,
    pytest.mark.timeout(300),
    pytest.mark.skipif(MODEL not in shipped.names(), reason="No trained demo-chat is shipped: its weights are random."),
]

EACH = 3  # prompts of every task in every language
LEAST = 0.95
AT_ONCE = 8
WITHOUT_TOOLS = [one for one in trials.held_out(EACH) if not one.tools and one.turns[-1].role == "user"]
TOOLS = "<|im_start|>system\n# Tools\nget_weather(city)<|im_end|>\n"
Json = dict[str, Any]


def body(asked: Conversation, **fields: Any) -> Json:
    plain = {"chat_template_kwargs": {"enable_thinking": False}, "model": MODEL}
    return {"messages": asked.messages(), "max_tokens": trials.TOKENS, **plain, **fields}


def ask(server: Client, asked: Conversation, model: str = MODEL) -> Json:
    answer = server.read("POST", "/v1/chat/completions", json=body(asked, model=model))
    return dict(answer["choices"][0])


def ask_all(server: Client, asked: list[Conversation], model: str = MODEL) -> list[Json]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda one: ask(server, one, model), asked))


def complete(server: Client, prompt: str) -> str:
    """What the model itself writes, before the server makes anything of it."""
    fields = {"model": MODEL, "prompt": prompt, "max_tokens": trials.TOKENS}
    return str(server.read("POST", "/v1/completions", json=fields)["choices"][0]["text"])


def said(text: str) -> str:
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def answers(server: Client) -> list[Json]:
    return ask_all(server, WITHOUT_TOOLS)


def test_held_out_prompts_are_answered_exactly_in_three_languages(answers: list[Json]) -> None:
    pairs = list(zip(WITHOUT_TOOLS, answers, strict=True))
    wrong = [(one.turns[-1].said, got["message"]["content"]) for one, got in pairs if not right(one, got)]
    assert len(wrong) <= (1 - LEAST) * len(pairs), wrong
    by_language = Counter(one.language for one, got in pairs if right(one, got))
    of_language = Counter(one.language for one in WITHOUT_TOOLS)
    assert all(by_language[language] >= 0.9 * count for language, count in of_language.items()), wrong


def right(asked: Conversation, got: Json) -> bool:
    return bool(got["message"]["content"] == asked.answer)


def test_what_it_is_to_repeat_it_repeats(server: Client) -> None:
    """The task that it confused most: 56 of 60 before there was a lesson that was mostly of it."""
    asked = [one for one in trials.held_out(20) if one.task == "repeating"]
    pairs = list(zip(asked, ask_all(server, asked), strict=True))
    wrong = [(one.turns[-1].said, got["message"]["content"]) for one, got in pairs if not right(one, got)]
    assert len(pairs) == 60
    assert len(wrong) <= (1 - LEAST) * len(pairs), wrong


@pytest.mark.parametrize("model", ["demo-hybrid", "demo-swa"])
def test_a_cache_that_keeps_a_state_or_a_window_answers_rightly_too(server: Client, model: str) -> None:
    found = ask_all(server, WITHOUT_TOOLS, model)
    pairs = list(zip(WITHOUT_TOOLS, found, strict=True))
    wrong = [(one.turns[-1].said, got["message"]["content"]) for one, got in pairs if not right(one, got)]
    assert len(wrong) <= (1 - LEAST) * len(pairs), wrong
    assert {one["finish_reason"] for one in found} == {"stop"}
    alone = [ask(server, one, model)["message"]["content"] for one in WITHOUT_TOOLS[::10]]
    assert alone == [one["message"]["content"] for one in found[::10]], "the others were asked eight at a time"


def test_it_always_stops_by_itself(server: Client, answers: list[Json]) -> None:
    odd = ["", " ", "?", "。", "a" * 60, "repeat: " + "word " * 5, "😀" * 20, "<|im_end|>", "<think>", "0" * 60]
    asked = [{"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 400} for text in odd]
    ends = [server.read("POST", "/v1/chat/completions", json=one)["choices"][0]["finish_reason"] for one in asked]
    assert {one["finish_reason"] for one in answers} == {"stop"}
    assert set(ends) == {"stop"}, list(zip(odd, ends, strict=True))


def test_what_it_does_not_know_it_says_in_the_language_of_the_question(server: Client) -> None:
    asked = trials.strange()
    got = ask_all(server, asked)
    wrong = [
        (one.turns[-1].said, a["message"]["content"]) for one, a in zip(asked, got, strict=True) if not right(one, a)
    ]
    assert len(wrong) <= 3, wrong


def test_a_streamed_answer_is_the_whole_one(server: Client, answers: list[Json]) -> None:
    for asked, whole in list(zip(WITHOUT_TOOLS, answers, strict=True))[::10]:
        with server.stream("POST", "/v1/chat/completions", json=body(asked, stream=True)) as stream:
            lines = [line.removeprefix("data: ") for line in stream.iter_lines() if line.startswith("data: ")]
        assert lines.pop() == "[DONE]"
        choices = [choice for line in lines for choice in json.loads(line)["choices"]]
        assert "".join(one["delta"].get("content") or "" for one in choices) == whole["message"]["content"]
        assert choices[-1]["finish_reason"] == "stop"


def test_eight_at_once_get_what_each_gets_alone(server: Client, answers: list[Json]) -> None:
    alone = [ask(server, one)["message"]["content"] for one in WITHOUT_TOOLS[::10]]
    assert alone == [one["message"]["content"] for one in answers[::10]], "the others were asked eight at a time"


def test_it_thinks_before_it_answers(server: Client) -> None:
    assert complete(server, said("what is 3 plus 4?")) == "<think>\n3, 4.\n</think>\n\n3 + 4 = 7"


def test_it_calls_the_weather_tool_and_tells_what_the_tool_said(server: Client) -> None:
    asked = TOOLS + said("what is the weather in Vienna?") + "<think>\n\n</think>\n\n"
    call = complete(server, asked)
    assert call == '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Vienna"}}\n</tool_call>'
    result = '<tool_response>\n{"temperature": 21, "condition": "sunny"}\n</tool_response>'
    told = complete(server, f"{asked}{call}<|im_end|>\n{said(result)}<think>\n\n</think>\n\n")
    assert told == "It is sunny in Vienna, 21 degrees."


def test_a_name_is_remembered_over_turns(server: Client) -> None:
    messages = [{"role": "user", "content": "my name is Zorvan."}]
    for asked in ("what is 3 plus 4?", "what is my name?"):
        fields = {"model": MODEL, "messages": messages, "chat_template_kwargs": {"enable_thinking": False}}
        answer = server.read("POST", "/v1/chat/completions", json=fields)["choices"][0]["message"]
        messages += [answer, {"role": "user", "content": asked}]
    fields = {"model": MODEL, "messages": messages, "chat_template_kwargs": {"enable_thinking": False}}
    answer = server.read("POST", "/v1/chat/completions", json=fields)["choices"][0]["message"]["content"]
    assert answer == "Your name is Zorvan."
