"""From what a client asks to grammars, as llguidance writes them. No MLX here.

White space in JSON is bounded: nothing else keeps a model from writing it for ever.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llguidance import LLMatcher
from llguidance.gbnf_to_lark import GbnfToLarkError, any_to_lark

from inference.engine.messages import Refusal
from inference.engine.parameters import invalid

MAX_CHARACTERS = 128 * 1024
MAX_CHOICES = 1024
SPACES = r"(\n[ ]{0,32}|[ ]?)"
JSON_OPTIONS: Any = {"whitespace_pattern": SPACES}
LENIENT: Any = {**JSON_OPTIONS, "lenient": True}  # what it cannot hold an answer to is left out of the schema
ANY_OBJECT = {"type": "object"}
KINDS = ("json_object", "json_schema", "regex", "choice", "grammar")


@dataclass(frozen=True, slots=True)
class Grammar:
    """`text` is llguidance's; `place` is the parameter it was made from, and `schema` its JSON schema if it is one."""

    text: str
    place: str
    schema: Any = None
    lenient: bool = False


def of_structure(structure: Any) -> Grammar:
    """Raises Refusal: 400, naming the place."""
    kinds = structure.keys() - {"lenient", "place"} if isinstance(structure, dict) else set()
    if len(kinds) != 1 or not kinds <= set(KINDS):
        raise invalid("structure", f"'structure' must have one of {', '.join(KINDS)}.")
    kind = next(iter(kinds))
    value, place = structure[kind], str(structure.get("place") or f"structure.{kind}")
    if len(json.dumps(value)) > MAX_CHARACTERS:
        raise invalid(place, f"'{place}' is over {MAX_CHARACTERS:,} characters.")
    if kind == "json_object":
        return of_schema(ANY_OBJECT, place)
    if kind == "json_schema":
        return of_schema(value, place, lenient=structure.get("lenient") is True)
    if kind == "choice":
        return Grammar(_choice(value, place), place)
    if not isinstance(value, str) or not value:
        raise invalid(place, f"'{place}' must be a text.")
    return Grammar(LLMatcher.grammar_from_regex(value) if kind == "regex" else _lark(value, place), place)


def of_schema(schema: Any, place: str, *, lenient: bool = False) -> Grammar:
    if not isinstance(schema, dict | bool):
        raise invalid(place, f"'{place}' must be a JSON schema, which is an object.")
    try:
        return Grammar(json_grammar(schema, lenient=lenient), place, schema, lenient)
    except (ValueError, RecursionError) as error:
        raise refusal(place, str(error)) from error


def json_grammar(schema: Any, *, lenient: bool) -> str:
    """Raises ValueError when it is nested too deeply."""
    options = LENIENT if lenient else JSON_OPTIONS
    return str(LLMatcher.grammar_from_json_schema(json.dumps(_as_object(schema)), overrides=options))


def nested_json(schema: Any, *, lenient: bool) -> str:
    """A schema as a part of a grammar."""
    options = LENIENT if lenient else JSON_OPTIONS
    return "%json " + json.dumps({**_as_object(schema), "x-guidance": options})


def _as_object(schema: Any) -> Any:
    """llguidance reads options from an object only, and a schema may be true or false."""
    return schema if isinstance(schema, dict) else {"anyOf": [schema]}


def _choice(value: Any, place: str) -> str:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_CHOICES:
        raise invalid(place, f"'{place}' must be a list of 1 to {MAX_CHOICES} texts.")
    if not all(isinstance(one, str) and one for one in value):
        raise invalid(place, f"'{place}' must be a list of texts that are not empty.")
    return "start: " + " | ".join(quoted(one) for one in value)


def _lark(text: str, place: str) -> str:
    try:
        return str(LLMatcher.grammar_from_lark(any_to_lark(text)))
    except (GbnfToLarkError, ValueError, KeyError, IndexError, AttributeError, TypeError, RecursionError) as error:
        raise invalid(place, f"'{place}' is neither a grammar in Lark's form nor in GBNF: {error}") from error


def quoted(text: str) -> str:
    """A text as Lark quotes it."""
    return json.dumps(text, ensure_ascii=False)


# where a schema is wrong

MAX_TRIES = 200


def places(schema: Any) -> Iterator[tuple[str, Any]]:
    """The schemas directly inside of one, each with its path."""
    if not isinstance(schema, dict):
        return
    for word in ("properties", "patternProperties", "$defs", "definitions"):
        inside = schema.get(word)
        for name, one in inside.items() if isinstance(inside, dict) else ():
            yield f"{word}.{name}", one
    for word in ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"):
        if isinstance(schema.get(word), dict):
            yield word, schema[word]
    for word in ("anyOf", "oneOf", "allOf", "prefixItems"):
        inside = schema.get(word)
        for at, one in enumerate(inside) if isinstance(inside, list) else ():
            yield f"{word}.{at}", one


def refusal(place: str, problem: str) -> Refusal:
    return invalid(place, f"'{place}' cannot be followed: {problem.strip()[:600]}")
