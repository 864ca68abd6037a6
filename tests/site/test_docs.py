"""The documents say what is: every path, setting and dependency."""

import json
import re
from pathlib import Path

import pytest

from fmlx_site.environment import Environment
from fmlx_site.options import OPTIONS
from tests.early import ROOT

DOCS = ROOT / "docs"
CODE = re.compile(r"`([^`\s]+)`")
FOLDERS = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))


def named_paths(text: str) -> set[str]:
    """What stands in backquotes and begins with a folder of the project."""
    inside = {name for name in CODE.findall(text) if name.startswith(FOLDERS)}
    return {name for name in inside if not any(character in name for character in "<{$…")}


def exists(name: str) -> bool:
    return any(ROOT.glob(name.rstrip("/"))) or (ROOT / f"{name}.py").is_file()


@pytest.mark.parametrize("document", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda path: path.name)
def test_every_path_in_a_document_is_there(document: Path) -> None:
    assert [name for name in sorted(named_paths(document.read_text())) if not exists(name)] == []


def test_the_architecture_names_the_rooms() -> None:
    named = named_paths((DOCS / "architecture.md").read_text())
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert {package for package in packages if not any(name.startswith(f"{package}/") for name in named)} == set()


def settings() -> set[str]:
    fields = Environment.model_fields.items()
    return {str(field.validation_alias or f"FMLX_{name.upper()}") for name, field in fields}


def test_every_setting_is_in_the_table_and_none_that_is_gone() -> None:
    listed = set(re.findall(r"^\| `([A-Z_]+)` \|", (DOCS / "configuration.md").read_text(), re.MULTILINE))
    assert settings() - listed == set()
    beside = {"FMLX_RUNTIME_VARIANT", "PYTHON", "UPGRADE"}
    assert listed - settings() - beside == set()


def test_every_option_is_in_a_table_with_its_default() -> None:
    text = (DOCS / "configuration.md").read_text()
    beside = {name: option.default for name, option in OPTIONS.items() if not option.variable}
    rows = re.findall(r"^\| `([a-z_]+)` \| (?:`([\w.]+)`|none) \|", text, re.MULTILINE)
    assert {name: _default(shown) for name, shown in rows} == beside


def _default(shown: str) -> float | str | None:
    try:
        return float(shown)
    except ValueError:
        return shown or None


def test_the_defaults_in_the_table_are_the_real_ones() -> None:
    rows = re.findall(
        r"^\| `FMLX_([A-Z_]+)` \| `(\d+(?:\.\d+)?)` \|", (DOCS / "configuration.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 10
    for name, shown in rows:
        assert Environment.model_fields[name.lower()].default == float(shown), name


def direct_dependencies() -> set[str]:
    lines = [line for path in (ROOT / "requirements").glob("*.in") for line in path.read_text().splitlines()]
    python = {match[0].lower() for line in lines if (match := re.match(r"[a-zA-Z][\w-]*", line))}
    package = json.loads((ROOT / "package.json").read_text())
    return python | {*package["dependencies"], *package["devDependencies"]}


def test_every_direct_dependency_has_its_line_and_none_that_is_gone() -> None:
    listed = set(re.findall(r"^\| ([@a-z][\w./-]*) \|", (DOCS / "dependencies.md").read_text(), re.MULTILINE))
    assert direct_dependencies() - listed == set()
    assert listed - direct_dependencies() - {"package"} == set()
