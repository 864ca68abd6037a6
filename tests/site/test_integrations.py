"""The snippets for other programs: each is what its file is to be, and leads to addresses that are there."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Callable

import pytest
import yaml
from django.urls import resolve

from tests.early import ROOT

TEXT = (ROOT / "docs" / "integrations.md").read_text()
SNIPPETS = re.findall(r"^```(\w+)\n(.+?)^```", TEXT, re.MULTILINE | re.DOTALL)
READERS: dict[str, Callable[[str], object]] = {
    "python": ast.parse,
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "sh": shlex.split,
}
PROGRAMS = ("OpenAI", "Anthropic", "curl", "LangChain", "LiteLLM", "Open WebUI", "Continue", "Claude Code", "Codex")


@pytest.mark.parametrize(("kind", "text"), SNIPPETS, ids=lambda value: value[:24])
def test_a_snippet_can_be_read(kind: str, text: str) -> None:
    READERS[kind](text)


def test_every_program_has_one() -> None:
    headings = re.findall(r"^## (.+)", TEXT, re.MULTILINE)
    assert [name for name in (*PROGRAMS, "opencode") if not any(one.startswith(name) for one in headings)] == []


def test_every_address_is_there() -> None:
    for path in set(re.findall(r"localhost:8000(/[\w/]+)", TEXT)) - {"/v1"}:
        resolve(path)


def test_what_codex_and_claude_code_are_told() -> None:
    codex = next(tomllib.loads(text) for kind, text in SNIPPETS if kind == "toml")
    assert codex["model_providers"][codex["model_provider"]]["wire_api"] == "responses"
    assert "ANTHROPIC_BASE_URL=http://localhost:8000\n" in TEXT, "it adds /v1/messages itself"
