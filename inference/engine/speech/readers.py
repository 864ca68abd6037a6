"""From the text between the marks to calls. What the family's form allows is given as it forms.

- `Whole`: mlx-lm's parser reads the call when it is whole.
- `Growing`: where arguments stand one by one between marks, each is given when it is whole.
- `Json`: where the arguments are JSON, every character is given as it comes; only for calls that a grammar holds to
  their form, since what was given cannot be taken back.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from inference.engine.speech.marks import Parse

UNREADABLE = (ValueError, KeyError, AttributeError, TypeError, IndexError, RecursionError)  # what parsers raise
NAME = r'"(?P<name>(?:[^"\\]|\\.)*)"'
HEADS = {
    "json_tools": re.compile(r'\s*\{\s*"name"\s*:\s*' + NAME + r'\s*,\s*"arguments"\s*:\s*(?=\{)', re.DOTALL),
    "mistral": re.compile(r"\s*(?P<name>[\w.-]+)\s*\[ARGS\]\s*(?=\{)"),
    "kimi_k2": re.compile(
        r"\s*(?:<\|tool_call_begin\|>)?\s*(?P<id>(?:functions\.)?(?P<name>[\w.-]+):\d+)\s*"
        r"<\|tool_call_argument_begin\|>\s*(?=\{)"
    ),
}
REST = re.compile(r"^[\s}]*(?:<\|tool_call_end\|>)?")  # between the arguments of one call and the next call
ENDS = {  # of an argument, and what closes a call after it
    "qwen3_coder": ("</parameter>", "</function>"),
    "glm47": ("</arg_value>", ""),
    "minimax_m2": ("</parameter>", "</invoke>"),
    "minicpm5": ("</param>", "</function>"),
    "muse_spark": ("</atem:parameter>", "</atem:invoke>"),
    "longcat": ("</longcat_arg_value>", ""),
}


class Unreadable(Exception):
    """What stands between the marks is no call of a known tool."""


class Listener(Protocol):
    """Who hears of calls: `begin`, then `add` pieces of its arguments until the next begins."""

    def begin(self, name: str, id_: str | None) -> None: ...
    def add(self, arguments: str) -> None: ...


class Reader(Protocol):
    @property
    def inside(self) -> bool:
        """Is it in the middle of a text of JSON, where a mark is none?"""

    def feed(self, text: str) -> None: ...

    def end(self) -> None:
        """Nothing more comes. Raises Unreadable if nothing was given of what there was."""


class Whole:
    @property
    def inside(self) -> bool:
        return False

    def __init__(self, parse: Parse, tools: list[Any], names: Collection[str], hears: Listener) -> None:
        self._parse, self._tools, self._names, self._hears = parse, tools, names, hears
        self._body = ""

    def feed(self, text: str) -> None:
        self._body += text

    def end(self) -> None:
        for name, arguments, id_ in self._calls(self._body):
            self._hears.begin(name, id_)
            self._hears.add(arguments)

    def _calls(self, body: str) -> list[tuple[str, str, str | None]]:
        try:
            found = self._parse(body, self._tools)
            return [self._checked(call) for call in (found if isinstance(found, list) else [found])]
        except UNREADABLE as error:
            raise Unreadable(f"it could not be read ({type(error).__name__})") from error

    def _checked(self, call: Mapping[str, Any]) -> tuple[str, str, str | None]:
        name, arguments, id_ = call["name"], call.get("arguments", {}), call.get("id")
        if not isinstance(name, str) or name not in self._names:
            raise Unreadable(f"there is no tool {name!r:.80}")
        if isinstance(arguments, str):
            arguments = json.loads(arguments)
        if not isinstance(arguments, dict):
            raise Unreadable("its arguments are no object")
        text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
        return name, text, id_ if isinstance(id_, str) and id_ else None


class Growing(Whole):
    """`end_mark` ends an argument; with `closing` after it what is there reads as a call that ends there."""

    def __init__(self, end_mark: str, closing: str, *rest: Any) -> None:
        super().__init__(*rest)
        self._end_mark, self._closing = end_mark, closing
        self._looked = 0
        self._given: list[str] = []  # of each call, the JSON so far without its closing brace

    def feed(self, text: str) -> None:
        super().feed(text)
        if (at := self._body.rfind(self._end_mark, self._looked)) < 0:
            return
        end = at + len(self._end_mark)
        self._looked = end
        try:
            calls = self._calls(self._body[:end] + self._closing)
        except Unreadable:
            return
        self._grow(calls, last=False)

    def end(self) -> None:
        try:
            self._grow(self._calls(self._body), last=True)
        except Unreadable:
            if not self._given:
                raise
            self._hears.add("}")

    def _grow(self, calls: list[tuple[str, str, str | None]], *, last: bool) -> None:
        for at, (name, arguments, id_) in enumerate(calls):
            whole = last or at < len(calls) - 1
            if at == len(self._given):
                self._hears.begin(name, id_)
                self._given.append("")
            if at == len(self._given) - 1:
                self._add(at, arguments, whole=whole)

    def _add(self, at: int, arguments: str, *, whole: bool) -> None:
        given, so_far = self._given[at], arguments.removesuffix("}")
        if given.endswith("}"):
            return
        if so_far.startswith(given):
            self._hears.add(so_far[len(given) :] + ("}" if whole else ""))
            self._given[at] = so_far + ("}" if whole else "")
        elif whole:  # an argument was given twice: the first holds
            self._hears.add("}")
            self._given[at] += "}"


class Json(Whole):
    def __init__(self, head: re.Pattern[str], *rest: Any) -> None:
        super().__init__(*rest)
        self._head = head
        self._depth = 0
        self._quoted = self._escaped = self._begun = False

    @property
    def inside(self) -> bool:
        return self._depth > 0 and self._quoted

    def feed(self, text: str) -> None:
        self._body += text
        while self._body:
            if self._depth:
                self._go_on()
            elif not self._begin():
                return

    def end(self) -> None:
        """What is cut off in its arguments stays as far as it came."""
        if not self._begun:
            super().end()

    def _begin(self) -> bool:
        if self._begun:
            self._body = REST.sub("", self._body, count=1)
        if not (head := self._head.match(self._body)):
            return False
        name = head["name"]
        if '"' in head[0][: head.start("name")]:
            name = json.loads(f'"{name}"', strict=False)
        if name not in self._names:
            return False
        self._hears.begin(name, head.groupdict().get("id"))
        self._begun, self._body, self._depth = True, self._body[head.end() :], -1
        return True

    def _go_on(self) -> None:
        end = self._value_end()
        self._hears.add(self._body[:end])
        self._body = self._body[end:]

    def _value_end(self) -> int:
        """How far the arguments go in what is there; the depth is 0 where they end."""
        self._depth = max(self._depth, 0)
        for at, letter in enumerate(self._body):
            if self._escaped:
                self._escaped = False
            elif self._quoted:
                self._escaped, self._quoted = letter == "\\", letter != '"'
            elif letter == '"':
                self._quoted = True
            elif letter in "{[":
                self._depth += 1
            elif letter in "}]":
                self._depth -= 1
                if not self._depth:
                    return at + 1
        return len(self._body)


MakeReader = Callable[[bool, Listener], Reader]


def readers_of(family: str, parse: Parse, tools: list[Any]) -> MakeReader:
    """Makes a reader for one pair of marks; told whether a grammar holds what stands between them to its form."""
    names = frozenset(tool["function"]["name"] for tool in tools)

    def make(held: bool, hears: Listener) -> Reader:
        rest = (parse, tools, names, hears)
        if held and family in HEADS:
            return Json(HEADS[family], *rest)
        return Growing(*ENDS[family], *rest) if family in ENDS else Whole(*rest)

    return make
