"""What may stand between the marks of a tool call, in the form of each family of models. No MLX here."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inference.engine.guides.grammars import ANY_OBJECT, Grammar, nested_json, quoted
from inference.engine.speech.marks import Marks

Rules = Iterator[str]


@dataclass(frozen=True, slots=True)
class Tool:
    """`rule` is its name in the grammar; `schema` what its arguments follow."""

    rule: str
    name: str
    schema: Mapping[str, Any]
    lenient: bool

    @property
    def arguments(self) -> str:
        return f"{self.rule}_arguments: {nested_json(self.schema, lenient=self.lenient)}"


def of_calls(marks: Marks, tools: list[Mapping[str, Any]], *, forced: bool) -> Grammar | None:
    """A call of one of `tools`; None if the family's form has no grammar, or needs none.

    Arguments follow the tool's schema where the client asked for that, by `strict` or by forcing a call; else they are
    an object, so that a schema never keeps a model from what it means.
    """
    body = BODIES.get(marks.family)
    if not tools or body is None or (marks.family in PAIRS and not forced):
        return None
    rules = [f"start: {' | '.join(f'tool_{number}' for number in range(len(tools)))}"]
    for number, tool in enumerate(tools):
        function = tool["function"]
        strict = function.get("strict") is True
        schema = (function.get("parameters") or ANY_OBJECT) if strict or forced else ANY_OBJECT
        rules += body(Tool(f"tool_{number}", function["name"], schema, not strict), marks)
    return Grammar("\n".join(rules), "tools")


def _as_json(tool: Tool, marks: Marks) -> Rules:
    head = '{"name": ' + json.dumps(tool.name, ensure_ascii=False) + ', "arguments": '
    yield f'{tool.rule}: "\\n"? {quoted(head)} {tool.rule}_arguments "}}" "\\n"?'
    yield tool.arguments


def _as_mistral(tool: Tool, marks: Marks) -> Rules:
    yield f"{tool.rule}: {literal(f'{tool.name}[ARGS]', marks)} {tool.rule}_arguments"
    yield tool.arguments


def _as_kimi(tool: Tool, marks: Marks) -> Rules:
    begin = literal(f"<|tool_call_begin|>functions.{tool.name}:", marks)
    middle, end = (literal(text, marks) for text in ("<|tool_call_argument_begin|>", "<|tool_call_end|>"))
    yield f"{tool.rule}: {begin} /[0-9]{{1,3}}/ {middle} {tool.rule}_arguments {end}"
    yield tool.arguments


@dataclass(frozen=True, slots=True)
class Pair:
    """How a family writes a call whose arguments stand one by one."""

    head: str
    open: str
    close: str
    tail: str


PAIRS = {
    "qwen3_coder": Pair("\n<function={name}>\n", "<parameter={key}>\n", "\n</parameter>\n", "</function>\n"),
    "minimax_m2": Pair('\n<invoke name="{name}">\n', '<parameter name="{key}">', "</parameter>\n", "</invoke>\n"),
    "glm47": Pair("{name}\n", "<arg_key>{key}</arg_key>\n<arg_value>", "</arg_value>\n", ""),
}


def _as_pairs(tool: Tool, marks: Marks) -> Rules:
    pair = PAIRS[marks.family]
    properties, required = tool.schema.get("properties") or {}, tool.schema.get("required") or ()
    names = [f"{tool.rule}_{number}" for number in range(len(properties))]
    parts = [name if key in required else f"{name}?" for name, key in zip(names, properties, strict=True)]
    head = literal(pair.head.format(name=tool.name), marks)
    yield " ".join([f"{tool.rule}:", head, *parts, *([literal(pair.tail, marks)] if pair.tail else [])])
    for name, (key, schema) in zip(names, properties.items(), strict=True):
        value = f"{name}_value"
        yield f"{name}: {literal(pair.open.format(key=key), marks)} {value}"
        yield from _value(value, schema, literal(pair.close, marks), lenient=tool.lenient)


def _value(rule: str, schema: Any, end: str, *, lenient: bool) -> Rules:
    """A text stands as it is, whatever else is JSON."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind != "string":
        yield f"{rule}: {nested_json(schema, lenient=lenient)} {end}"
    elif choices := [one for one in schema.get("enum", ()) if isinstance(one, str)]:
        yield f"{rule}: ({' | '.join(map(quoted, choices))}) {end}"
    else:
        most = schema.get("maxLength")
        text = f"/(.|\\n){{0,{most}}}/" if isinstance(most, int) else "/(.|\\n)*/"
        ends_itself = end.startswith("<[")  # no text holds a token like that
        yield f"{rule}{'' if ends_itself else '[lazy]'}: {text} {end}"


def literal(text: str, marks: Marks) -> str:
    """A text as Lark quotes it, with the tokens of the marks in it."""
    within = marks.within or {}
    if not within:
        return quoted(text)
    pieces = re.split(f"({'|'.join(map(re.escape, within))})", text)
    return " ".join(f"<[{within[piece]}]>" if piece in within else quoted(piece) for piece in pieces if piece)


Body = Callable[[Tool, Marks], Rules]
BODIES: dict[str, Body] = {
    "json_tools": _as_json,
    "mistral": _as_mistral,
    "kimi_k2": _as_kimi,
    **dict.fromkeys(PAIRS, _as_pairs),
}
