"""Thoughts, text and calls are told apart in the form of every family, wherever the text is cut."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.runtime
PARIS = '{"city": "Paris"}'
THREE_DAYS = '{"city": "Paris", "days": 3}'
SECTION = "<|tool_calls_section_begin|>{}<|tool_calls_section_end|>"
KIMI = "<|tool_call_begin|>functions.{}:{}<|tool_call_argument_begin|>{}<|tool_call_end|>"
NOTHING: dict[str, Any] = {"thought": "", "text": "", "calls": [], "warning": ""}

FORMS = [
    (
        "json_tools",
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris", "days": 3}}\n</tool_call>',
        THREE_DAYS,
    ),
    (
        "qwen3_coder",
        (
            "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n"
            "</function>\n</tool_call>"
        ),
        THREE_DAYS,
    ),
    (
        "glm47",
        (
            "<tool_call>weather<arg_key>city</arg_key><arg_value>Paris</arg_value><arg_key>days</arg_key>"
            "<arg_value>3</arg_value></tool_call>"
        ),
        THREE_DAYS,
    ),
    (
        "minimax_m2",
        (
            '<minimax:tool_call>\n<invoke name="weather">\n<parameter name="city">Paris</parameter>\n'
            '<parameter name="days">3</parameter>\n</invoke>\n</minimax:tool_call>'
        ),
        THREE_DAYS,
    ),
    ("mistral", '[TOOL_CALLS]weather[ARGS]{"city": "Paris"}', PARIS),
    ("kimi_k2", SECTION.format(KIMI.format("weather", 0, PARIS)), PARIS),
    ("gemma4", '<|tool_call>call:weather{city:<|"|>Paris<|"|>,days:3}<tool_call|>', THREE_DAYS),
    (
        "function_gemma",
        "<start_function_call>call:weather{city:<escape>Paris<escape>}<end_function_call>",
        PARIS,
    ),
    (
        "longcat",
        (
            "<longcat_tool_call>weather\n<longcat_arg_key>city</longcat_arg_key>\n"
            "<longcat_arg_value>Paris</longcat_arg_value></longcat_tool_call>"
        ),
        PARIS,
    ),
    ("pythonic", '<|tool_call_start|>[weather(city="Paris", days=3)]<|tool_call_end|>', THREE_DAYS),
    ("minicpm5", '<function name="weather"><param name="city">Paris</param></function>', PARIS),
    (
        "muse_spark",
        (
            '<atem:function_calls><atem:invoke name="weather"><atem:parameter name="city">Paris</atem:parameter>'
            "</atem:invoke></atem:function_calls>"
        ),
        PARIS,
    ),
]
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Pa}\\"ris"}}\n</tool_call>'
OTHER = '<tool_call>{"name": "time", "arguments": {}}</tool_call>'
ODD = "<tool_call>{}</tool_call>"
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    *[({"family": family, "text": text}, {"calls": [["weather", arguments]]}) for family, text, arguments in FORMS],
    (
        {"family": "json_tools", "text": f"<think>\nhm </thi\n</think>\n\nLook:\n{CALL}\n{OTHER}\n"},
        {
            "thought": "hm </thi",
            "text": "Look:\n",
            "calls": [["weather", '{"city": "Pa}\\"ris"}'], ["time", "{}"]],
        },
    ),
    (
        {"family": "json_tools", "text": f"{CALL}\n{OTHER}", "one": True},
        {"calls": [["weather", '{"city": "Pa}\\"ris"}']]},
    ),
    (
        {"family": "kimi_k2", "text": SECTION.format(KIMI.format("weather", 0, PARIS) + KIMI.format("time", 1, "{}"))},
        {"calls": [["weather", PARIS], ["time", "{}"]]},
    ),
    (
        {"family": "json_tools", "text": "opened by the prompt</think>said", "start": "thinking"},
        {"thought": "opened by the prompt", "text": "said"},
    ),
    ({"family": "json_tools", "text": "<think>said", "start": "text"}, {"text": "<think>said"}),
    ({"family": "json_tools", "text": "<think>It never ends \n"}, {"thought": "It never ends"}),
    ({"family": "json_tools", "text": " x < y <think> no <tool_cal"}, {"text": " x < y <think> no <tool_cal"}),
]
BROKEN = [
    ODD.format('{"name": "nobody", "arguments": {}}'),
    ODD.format('{"name": "weather", "argu'),
    ODD.format('{"name": "weather", "arguments": [1]}'),
    ODD.format('{"name": "weather", "arguments": {"city": NaN}}'),
    ODD.format(""),
    '<tool_call>{"name": "weather", "arguments": {"ci',
]
Speak = Callable[[list[dict[str, Any]]], list[list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def speak(run_in_runtime: Callable[..., str], demo_models: dict[str, Path]) -> Speak:
    def speak(cases: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """What each said, however it was cut."""
        script = Path(__file__).with_name("speaking.py")
        found: list[list[dict[str, Any]]] = json.loads(run_in_runtime(script, demo_models["chat"], json.dumps(cases)))
        return found

    return speak


def without_counts(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name != "arguments"}


def test_every_form_wherever_it_is_cut_and_held_to_its_form_or_not(speak: Speak) -> None:
    for held in (False, True):
        found = speak([{**case, "held": held} for case, _ in CASES])
        for (case, wanted), ways in zip(CASES, found, strict=True):
            assert [without_counts(said) for said in ways] == [NOTHING | wanted] * 3, case


def test_arguments_are_given_as_they_form_where_the_form_allows(speak: Speak) -> None:
    pieces = {case["family"]: ways[0]["arguments"] for case, ways in zip(*streamed(speak), strict=True)}
    assert all(pieces[family] > 4 for family in ("json_tools", "mistral", "kimi_k2")), "as it is written"
    assert all(pieces[family] > 1 for family in ("qwen3_coder", "glm47", "minimax_m2")), "one argument at a time"


def streamed(speak: Speak) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    cases = [{"family": family, "text": text, "held": True} for family, text, _ in FORMS]
    return cases, speak(cases)


def test_what_began_as_a_call_and_is_none_is_text_with_a_warning(speak: Speak) -> None:
    for text, ways in zip(BROKEN, speak([{"family": "json_tools", "text": text} for text in BROKEN]), strict=True):
        for said in ways:
            assert (said["text"], said["calls"]) == (text, [])
            assert said["warning"].startswith("What began as a tool call is given as text")
