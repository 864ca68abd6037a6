"""How an answer will be read and guided, found out before it begins. On the intake's threads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from inference.engine.guides import grammars
from inference.engine.guides.calls import of_calls
from inference.engine.guides.compiler import Compiler
from inference.engine.guides.grammars import Grammar
from inference.engine.guides.guide import Guide, Plan
from inference.engine.messages import Refusal
from inference.engine.parameters import invalid
from inference.engine.speech.marks import Marks
from inference.engine.speech.readers import readers_of
from inference.engine.speech.speech import Speech
from inference.engine.templates import Prompt
from inference.engine.wish import Wish


@dataclass(frozen=True, slots=True)
class Prepared:
    """Makes what each choice of a request needs of its own."""

    guide: Callable[[], Guide | None]
    speech: Callable[[Guide | None], Speech]


class Answering:
    def __init__(self, marks: Marks, compiler: Compiler, eos: frozenset[int], width: int) -> None:
        self._marks, self._compiler, self._eos, self._width = marks, compiler, eos, width

    def prepare(self, message: Mapping[str, Any], wish: Wish, prompt: Prompt) -> Prepared:
        """Raises Refusal: 400, naming the parameter, and the place in its schema or grammar."""
        answer = self._structure(message, wish)
        call = self._calls(wish)
        plan = Plan(
            marks=self._marks,
            eos=self._eos,
            width=self._width,
            start=prompt.start,
            thinks=prompt.thinks,
            budget=wish.budget,
            answer=self._maker(answer),
            call=self._maker(call),
            forced=wish.forced,
            parallel=wish.parallel,
            failed=self._compiler.forget,
        )
        read = self._reader(wish)

        def speech(guide: Guide | None) -> Speech:
            return Speech(self._marks, prompt.start, read, guide, one_call=not wish.parallel)

        return Prepared(lambda: None if plan.idle else Guide(plan), speech)

    def _maker(self, grammar: Grammar | None) -> Callable[[], Any] | None:
        """Compiles it now, and gives a matcher whenever it is called."""
        if grammar is None:
            return None
        copy: Callable[[], Any] = self._compiler.matcher(grammar).deep_copy
        return copy

    def _structure(self, message: Mapping[str, Any], wish: Wish) -> Grammar | None:
        structure = message.get("structure")
        if message.get("ignore_eos") is True and (structure is not None or wish.forced):
            raise invalid("ignore_eos", "'ignore_eos' does not go with an answer of a given form, which has an end.")
        if structure is None:
            return None
        if wish.forced:
            raise invalid("structure", "An answer of a given form and a tool call that is required exclude each other.")
        return grammars.of_structure(structure)

    def _calls(self, wish: Wish) -> Grammar | None:
        for at, tool in enumerate(wish.tools):
            function = tool["function"]
            strict = function.get("strict") is True
            if tool in wish.callable and (strict or wish.forced) and (schema := function.get("parameters")):
                place = f"tools.{at}.function.parameters"
                self._compiler.matcher(grammars.of_schema(schema, place, lenient=not strict))
        grammar = of_calls(self._marks, list(wish.callable), forced=wish.forced)
        if wish.forced and grammar is None:
            message = (
                f"A tool call cannot be forced with this model, whose calls are in the form {self._marks.family!r}."
            )
            raise Refusal(400, "unsupported_parameter", message, param="tool_choice")
        return grammar

    def _reader(self, wish: Wish) -> Any:
        if not wish.callable or self._marks.parse is None:
            return None
        return readers_of(self._marks.family, self._marks.parse, [dict(tool) for tool in wish.callable])
