"""What a grammar holds an answer to: with random weights nothing but the grammar makes it valid."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.inference.engine.conftest import Answer, Engine

pytestmark = pytest.mark.runtime
HI = [{"role": "user", "content": "Hi"}]
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 8}, "days": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "additionalProperties": False}}},
]
THINK, END_OF_THOUGHT, CALL = 1020, 1021, 1022  # ids of the demo models' marks
CLOSING_BRACE = 95  # without a schema, objects of a random model go on and on
Ask = Callable[..., Answer]


@pytest.fixture
def ask(engine: Engine) -> Ask:
    """Warm and seeded: weights that are random choose at random."""

    def ask(**fields: Any) -> Answer:
        usual = {"kind": "chat", "messages": HI, "ignore_eos": False, "max_tokens": 400, "temperature": 1, "seed": 7}
        return engine.complete(**{**usual, "stream": False, **fields})

    return ask


def calls_of(answer: Answer, index: int = 0) -> list[dict[str, Any]]:
    """Whole, or put together from the pieces of a stream."""
    choice = answer.end["choices"][index]
    if "text" in choice:
        return list(choice.get("tool_calls", ()))
    calls: list[dict[str, Any]] = []
    for delta in answer.deltas:
        for piece in delta.get("tool_calls", ()) if delta["index"] == index else ():
            if "id" in piece:
                assert piece["index"] == len(calls)
                calls.append({"id": piece["id"], "name": piece["name"], "arguments": ""})
            calls[piece["index"]]["arguments"] += piece["arguments"]
    return calls


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_is_required_is_made_and_follows_its_schema(ask: Ask, stream: bool) -> None:
    schemas = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}
    answer = ask(tools=TOOLS, tool_choice="required", n=4, stream=stream)
    names = set()
    for index, choice in enumerate(answer.end["choices"]):
        calls = calls_of(answer, index)
        assert (choice["reason"], answer.text(index), bool(calls)) == ("tool_calls", "", True)
        for call in calls:
            names.add(call["name"])
            Draft202012Validator(schemas[call["name"]]).validate(json.loads(call["arguments"]))
    assert names <= schemas.keys()


def test_a_call_that_is_named_is_the_only_one(ask: Ask) -> None:
    answer = ask(tools=TOOLS, tool_choice={"name": "weather"}, parallel_tool_calls=False, n=4)
    for index in range(4):
        (call,) = calls_of(answer, index)
        assert call["name"] == "weather"
        Draft202012Validator(WEATHER).validate(json.loads(call["arguments"]))


def test_streamed_is_what_is_not_streamed(ask: Ask) -> None:
    fields = {"tools": TOOLS, "tool_choice": "required", "reasoning": {"budget": 4}, "logit_bias": {str(THINK): 100}}
    whole, streamed = ask(**fields), ask(**fields, stream=True)
    thought = "".join(delta.get("reasoning", "") for delta in streamed.deltas)
    assert thought == whole.end["choices"][0]["reasoning"] != ""
    assert [call["arguments"] for call in calls_of(streamed)] == [call["arguments"] for call in calls_of(whole)]
    assert streamed.deltas[-1]["reason"] == whole.end["choices"][0]["reason"] == "tool_calls"


def test_a_call_that_the_model_begins_by_itself_is_held_to_json(ask: Ask) -> None:
    strict = [{"type": "function", "function": {"name": "now", "strict": True, "parameters": WEATHER}}]
    answer = ask(tools=strict, logit_bias={str(CALL): 100}, parallel_tool_calls=False)
    (call,) = calls_of(answer)
    Draft202012Validator(WEATHER).validate(json.loads(call["arguments"]))
    assert ask(tools=TOOLS, tool_choice="none", max_tokens=8).text().find("<tool_call>") < 0


def test_a_call_can_be_forced_in_the_form_of_every_family_that_has_a_grammar(
    run_in_runtime: Callable[..., str], demo_models: dict[str, Path]
) -> None:
    properties = {
        "city": {"type": "string", "maxLength": 8},
        "unit": {"type": "string", "enum": ["c", "f"]},
        "days": {"type": "integer", "minimum": 0, "maximum": 9},
        "sure": {"type": "boolean"},
    }
    required = {"required": ["unit", "days"], "additionalProperties": False}
    parameters = {"type": "object", "properties": properties, **required}
    tool = {"type": "function", "function": {"name": "weather", "parameters": parameters}}
    script = Path(__file__).with_name("forcing.py")
    found = json.loads(run_in_runtime(script, demo_models["chat"], json.dumps([tool])))
    loose = {**parameters, "properties": {**properties, "city": {"type": ["string", "null"]}}}
    for family, ways in found.items():
        for way in ways:
            assert [name for name, _ in way] == ["weather"], family
            Draft202012Validator(loose).validate(json.loads(way[0][1]))


FORMS: list[tuple[dict[str, Any], Callable[[str], Any]]] = [
    ({"json_schema": WEATHER}, lambda text: Draft202012Validator(WEATHER).is_valid(json.loads(text))),
    ({"json_object": True}, lambda text: isinstance(json.loads(text), dict)),
    ({"regex": "[ab]{3}-[0-9]{2}"}, lambda text: re.fullmatch("[ab]{3}-[0-9]{2}", text)),
    ({"choice": ["left", "да", '"right"']}, lambda text: text in ("left", "да", '"right"')),
    ({"grammar": 'root ::= "x" [0-9] "y"'}, lambda text: re.fullmatch("x[0-9]y", text)),
    ({"grammar": 'start: "x" /[0-9]/ "y"'}, lambda text: re.fullmatch("x[0-9]y", text)),
]


@pytest.mark.parametrize(("structure", "fits"), FORMS, ids=[next(iter(structure)) for structure, _ in FORMS])
def test_an_answer_has_the_form_that_was_asked_for(
    ask: Ask, structure: dict[str, Any], fits: Callable[[str], Any]
) -> None:
    answer = ask(structure=structure, n=3, logit_bias={str(CLOSING_BRACE): 8})
    for index in range(3):
        if answer.end["choices"][index]["reason"] == "stop":
            assert fits(answer.text(index))
    assert any(choice["reason"] == "stop" for choice in answer.end["choices"])


def test_a_completion_has_a_form_too_and_rows_beside_it_have_none(engine: Engine) -> None:
    free = engine.ask(prompt=[400, 401], max_tokens=40)
    held = [engine.ask(prompt=[402, at], structure={"choice": ["left"]}, ignore_eos=False) for at in range(3)]
    assert {engine.answer(id_).text() for id_ in held} == {"left"}
    assert engine.answer(free).text() == engine.complete(prompt=[400, 401], max_tokens=40).text()


def test_the_form_begins_after_the_thought_and_the_thought_has_a_budget(ask: Ask) -> None:
    bias = {str(THINK): 100}
    answer = ask(structure={"choice": ["yes"]}, reasoning={"budget": 5}, logit_bias=bias)
    (choice,) = answer.end["choices"]
    assert (choice["text"], choice["reason"]) == ("yes", "stop")
    assert choice["reasoning"] == "<think>" * 5
    assert answer.end["usage"]["reasoning_tokens"] == 5 + 2
    ended = ask(logit_bias={str(THINK): 99, str(END_OF_THOUGHT): 100}, temperature=0, max_tokens=4)
    assert "reasoning" not in ended.end["choices"][0]


def test_a_model_that_is_not_to_think_does_not_begin_to(ask: Ask) -> None:
    for off in ({"enabled": False}, {"effort": "none"}, {"budget": 0}):
        (choice,) = ask(reasoning=off, logit_bias={str(THINK): 100}, max_tokens=3).end["choices"]
        assert "reasoning" not in choice
        assert not choice["text"].startswith("<think>")


BAD = [
    ({"json_schema": {"properties": {"a": {"type": "objec"}}}}, "structure.json_schema.properties.a"),
    (
        {"json_schema": {"properties": {"b": {"items": {"type": "string", "pattern": "("}}}}, "place": "format"},
        "format.properties.b.items",
    ),
    ({"json_schema": {"$defs": {"x": {"not": {}}}, "anyOf": [True, {"$ref": "#/$defs/x"}]}}, "structure.json_schema"),
    ({"json_schema": {"$ref": "http://elsewhere/x"}}, "structure.json_schema"),
    ({"json_schema": [1]}, "structure.json_schema"),
    ({"regex": "("}, "structure.regex"),
    ({"regex": "(?=a)b"}, "structure.regex"),
    ({"choice": []}, "structure.choice"),
    ({"choice": ["a", 1]}, "structure.choice"),
    ({"grammar": "start: nowhere"}, "structure.grammar"),
    ({"grammar": "root ::= ((("}, "structure.grammar"),
    ({"regex": "a" * 200_000}, "structure.regex"),
    ({"regex": "a", "choice": ["b"]}, "structure"),
    ({"poem": True}, "structure"),
    ("json", "structure"),
]


@pytest.mark.parametrize(("structure", "place"), BAD)
def test_what_no_answer_can_be_held_to_is_refused_with_its_place(ask: Ask, structure: Any, place: str) -> None:
    answer = ask(structure=structure, max_tokens=4)
    assert (answer.phase, answer.end["status"]) == ("refused", 400), answer.end
    assert answer.end["param"].startswith(place)


def test_a_tool_whose_strict_schema_cannot_be_held_to_is_refused_and_a_loose_one_is_not(ask: Ask) -> None:
    parameters = {"type": "object", "properties": {"q": {"type": "string", "not": {"const": "x"}}}}
    tool = {"type": "function", "function": {"name": "find", "parameters": parameters}}
    strict = {"type": "function", "function": {"name": "find", "parameters": parameters, "strict": True}}
    assert ask(tools=[tool], max_tokens=2).phase == "finished"
    assert ask(tools=[strict], max_tokens=2).end["param"] == "tools.0.function.parameters.properties.q"


def nested(depth: int) -> Any:
    schema: Any = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


HOSTILE = [
    {"json_schema": nested(300)},
    {"json_schema": {"type": "object", "properties": {f"k{at}": {"enum": list(range(50))} for at in range(200)}}},
    {"json_schema": {"type": "array", "minItems": 100_000, "items": {"type": "integer"}}},
    {"json_schema": {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}},
    {"regex": "(a?){500}a{500}"},
    {"regex": "((a{1,100}){1,100}){1,100}"},
    {"regex": "(.*a){30}" + "[ab]{200}c"},
    {"grammar": 'start: a\na: a a | "x" | ""'},
    {"grammar": "start: start"},
]


def test_hostile_grammars_end_by_themselves_while_others_are_served(engine: Engine) -> None:
    steady = engine.ask(prompt=[400], max_tokens=20_000)
    engine.until_said(steady, "delta")
    asked = [engine.ask(prompt=[1, 2], structure=one, ignore_eos=False, max_tokens=20) for one in HOSTILE]
    for structure, id_ in zip(HOSTILE, asked, strict=True):
        answer = engine.answer(id_)
        assert answer.phase == "finished" or answer.end["status"] in (400, 413), (structure, answer.end)
    assert engine.said[steady][-1]["phase"] == "delta"
    engine.send("abort", id=steady)
    assert engine.answer(steady).phase == "aborted"


def test_of_several_the_likeliest_come_back(engine: Engine) -> None:
    fields = {"prompt": [400, 401], "temperature": 1, "seed": 3, "max_tokens": 6, "stream": False, "logprobs": True}
    every = engine.complete(**fields, n=5)
    means = sorted((sum(one["logprob"] for one in every.logprobs(at)) / 6 for at in range(5)), reverse=True)
    best = engine.complete(**fields, n=2, best_of=5)
    found = [sum(one["logprob"] for one in best.logprobs(at)) / 6 for at in range(2)]
    assert found == pytest.approx(means[:2])
    assert best.end["usage"]["completion_tokens"] == 30
    assert engine.complete(**{**fields, "stream": True}, best_of=5).end["param"] == "best_of"
