"""What a chat request asks beside its messages: tools, whether to call them, and how much to think. No MLX here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inference.engine.parameters import invalid

MAX_TOOLS = 512
TOOL_NAME = re.compile(r"[\w.:/-]{1,128}", re.ASCII)  # as OpenAI's, and the few more that servers of tools use
CHOICES = ("auto", "none", "required")
OFF = "none"
BUDGETS = {"minimal": 512, "low": 2048, "medium": 8192}  # tokens of thought, where a template knows no effort


@dataclass(frozen=True, slots=True)
class Wish:
    """`choice` is auto, none or required; `names` are those that may be called, if not all; `budget` tokens of thought,
    None without a bound; `place` is what the client calls `reasoning`."""

    tools: tuple[Mapping[str, Any], ...] = ()
    choice: str = "auto"
    names: frozenset[str] | None = None
    parallel: bool = True
    enabled: bool | None = None
    wanted: bool = False
    effort: str | None = None
    budget: int | None = None
    place: str = "reasoning"

    @property
    def shown(self) -> tuple[Mapping[str, Any], ...]:
        """The tools that the model is to know of."""
        return () if self.choice == "none" else self.tools

    @property
    def callable(self) -> tuple[Mapping[str, Any], ...]:
        """The tools that it may call."""
        if self.names is None:
            return self.shown
        return tuple(tool for tool in self.shown if tool["function"]["name"] in self.names)

    @property
    def wants_thought(self) -> bool:
        """By `reasoning`; what a client tells the template is between them."""
        return self.enabled is not False and bool(self.wanted or self.effort or self.budget)

    @property
    def forced(self) -> bool:
        return self.choice == "required"


def parse(message: Mapping[str, Any]) -> Wish:
    """Raises Refusal: 400, naming the field."""
    tools = tuple(_tools(message.get("tools") or ()))
    choice, names = _choice(message.get("tool_choice"), {tool["function"]["name"] for tool in tools})
    parallel = message.get("parallel_tool_calls")
    if parallel is not None and not isinstance(parallel, bool):
        raise invalid("parallel_tool_calls", "'parallel_tool_calls' must be true or false.")
    return _thinking(Wish(tools, choice, names, parallel is not False), message)


def _thinking(wish: Wish, message: Mapping[str, Any]) -> Wish:
    asked = message.get("reasoning") or {}
    if not isinstance(asked, dict) or asked.keys() - {"enabled", "effort", "budget", "place"}:
        raise invalid("reasoning", "'reasoning' must be an object with enabled, effort and budget.")
    enabled, effort, budget = (asked.get(name) for name in ("enabled", "effort", "budget"))
    wanted = enabled is True
    template = message.get("template")
    if enabled is None and isinstance(template, dict) and isinstance(template.get("enable_thinking"), bool):
        enabled = template["enable_thinking"]
    if enabled is not None and not isinstance(enabled, bool):
        raise invalid("reasoning.enabled", "'reasoning.enabled' must be true or false.")
    if effort is not None and not (isinstance(effort, str) and 0 < len(effort) <= 32):  # noqa: PLR2004 - a word
        raise invalid("reasoning.effort", "'reasoning.effort' must be a word, such as low, medium or high.")
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, int) or budget < 0):
        raise invalid("reasoning.budget", "'reasoning.budget' must be a number of tokens, 0 or more.")
    if effort == OFF or budget == 0:
        enabled = False
    place = str(asked.get("place") or "reasoning")
    budget = 0 if enabled is False else budget
    return replace(wish, enabled=enabled, wanted=wanted, effort=effort, budget=budget, place=place)


def _tools(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list | tuple) or len(value) > MAX_TOOLS:
        raise invalid("tools", f"'tools' must be a list of at most {MAX_TOOLS} tools.")
    names: set[str] = set()
    for at, tool in enumerate(value):
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict):
            raise invalid(f"tools.{at}", f"tools[{at}] must be {{type: 'function', function: {{...}}}}.")
        name, parameters = function.get("name"), function.get("parameters")
        if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
            what = "1 to 128 letters, digits, _, -, ., : or /"
            raise invalid(f"tools.{at}.function.name", f"The name of tools[{at}] must be {what}.")
        if name in names:
            raise invalid(f"tools.{at}.function.name", f"Two tools have the name {name!r}.")
        if parameters is not None and not isinstance(parameters, dict):
            raise invalid(f"tools.{at}.function.parameters", f"The parameters of tools[{at}] must be a JSON schema.")
        names.add(name)
    return list(value)


def _choice(value: Any, known: set[str]) -> tuple[str, frozenset[str] | None]:
    choice: Any = "auto" if value is None else value
    names = None
    if isinstance(value, dict):
        chosen = value.get("names") or [value.get("name")]
        wrong = [name for name in chosen if not isinstance(name, str) or name not in known]
        if wrong:
            raise invalid("tool_choice", f"'tool_choice' names {wrong[0]!r:.80}, which is not among the tools.")
        choice, names = value.get("mode", "required"), frozenset(chosen)
    if choice not in CHOICES:
        raise invalid("tool_choice", f"'tool_choice' must be {', '.join(CHOICES)}, or an object that names tools.")
    if choice == "required" and not known:
        raise invalid("tool_choice", "'tool_choice' is required, and there are no tools.")
    return choice, names
