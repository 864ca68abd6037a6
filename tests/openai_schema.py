"""Validation against OpenAI's own document, which lies beside the checkout; FMLX_TEST_OPENAI_DOCUMENT says where."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

BESIDE = Path(__file__).parents[2] / "shared" / "openai" / "openapi.json"
DOCUMENT = Path(os.environ.get("FMLX_TEST_OPENAI_DOCUMENT", BESIDE))

# OpenAI lists the sizes and lengths its own models make; a local model makes others.
WIDENED = {"VideoSize": {"type": "string"}, "VideoSeconds": {"type": "string"}}


@cache
def _validator(name: str) -> Draft202012Validator:
    document = json.loads(DOCUMENT.read_text())
    document["components"]["schemas"].update(WIDENED)
    document = _nullable_as_today(document)
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", **document})


def _nullable_as_today(value: Any) -> Any:
    """OpenAPI 3.0's `nullable`, which OpenAI still writes here and there, as JSON Schema has it."""
    if isinstance(value, list):
        return [_nullable_as_today(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _nullable_as_today(item) for key, item in value.items() if key != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if value.get("nullable") is True else plain


def parameters(name: str) -> set[str]:
    """The properties of a request's schema, of all that it is made of."""
    if not DOCUMENT.is_file():
        pytest.skip(f"OpenAI's document is not at {DOCUMENT}")
    schemas = json.loads(DOCUMENT.read_text())["components"]["schemas"]
    found: set[str] = set()
    waiting = [schemas[name]]
    while waiting:
        schema = waiting.pop()
        found |= set(schema.get("properties", ()))
        waiting += schema.get("allOf", ())
        if reference := schema.get("$ref"):
            waiting.append(schemas[reference.rpartition("/")[2]])
    return found


def check(name: str, value: Any) -> None:
    """Fails with every place where `value` is not what OpenAI's schema `name` says."""
    if not DOCUMENT.is_file():
        pytest.skip(f"OpenAI's document is not at {DOCUMENT}")
    errors = [f"{error.json_path}: {error.message}" for error in _validator(name).iter_errors(value)]
    assert not errors, errors
