"""The pages' three languages: nothing that is shown is left untranslated."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polib
import pytest

from tests.early import ROOT, without_configuration

LANGUAGES = ("zh_Hans", "ru")
SOURCES = ("chat", "fmlx_site", "inference", "memory", "videos", "webhooks", "templates", "static", "locale")
PLACEHOLDER = re.compile(r"%\(\w+\)[sdf]|%[sd]|\{\w*\}")


def catalogue(language: str, root: Path = ROOT) -> polib.POFile:
    return polib.pofile(str(root / "locale" / language / "LC_MESSAGES" / "django.po"))


def texts(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) if entry.msgid_plural else [entry.msgstr]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_none_is_a_guess(language: str) -> None:
    entries = [entry for entry in catalogue(language) if not entry.obsolete]
    assert entries
    assert [entry.msgid for entry in entries if not all(texts(entry))] == []
    assert [entry.msgid for entry in entries if entry.fuzzy] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_is_filled_with_what_the_text_is_filled_with(language: str) -> None:
    for entry in catalogue(language):
        wanted = set(PLACEHOLDER.findall(entry.msgid_plural or entry.msgid))
        for text in texts(entry):
            assert set(PLACEHOLDER.findall(text)) == wanted, entry.msgid


def glossary() -> list[list[str]]:
    lines = (ROOT / "docs" / "glossary.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in rows if row[0] != "English"]


@pytest.mark.parametrize(("language", "column"), [("zh_Hans", 1), ("ru", 2)])
def test_the_pages_speak_the_words_of_the_glossary(language: str, column: int) -> None:
    said = [text for entry in catalogue(language) if not entry.obsolete for text in texts(entry)]
    everything = " ".join(said).casefold()
    assert len(glossary()) > 20
    assert [row[column] for row in glossary() if row[column].casefold() not in everything] == []
    never = [word.strip() for row in glossary() for word in row[3].split(",") if word.strip()]
    found = [
        (word, text)
        for word in never
        for text in said
        if re.search(rf"(?<![\w/-]){word}(?![\w_]*[)}}])", text, re.IGNORECASE)
    ]
    assert found == []


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources in which `makemessages` has just been run."""
    if not shutil.which("xgettext"):
        assert not os.environ.get("FMLX_REQUIRE_SERVICES"), "gettext is not installed; 'make test' installs it."
        pytest.skip("gettext is not installed; 'make test' says how to install it.")
    folder = tmp_path_factory.mktemp("sources")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.mo"))
    shutil.copy(ROOT / "manage.py", folder)
    command = [sys.executable, "manage.py", "makemessages", "--no-location"]
    locales = [word for language in LANGUAGES for word in ("--locale", language)]
    env = {**without_configuration(), "FMLX_HOME": str(folder / "home")}
    subprocess.run([*command, *locales], cwd=folder, env=env, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogue_has_every_text_of_the_sources(language: str, extracted: Path) -> None:
    known = {(entry.msgctxt, entry.msgid) for entry in catalogue(language)}
    shown = {(entry.msgctxt, entry.msgid) for entry in catalogue(language, extracted) if not entry.obsolete}
    assert shown - known == set(), "run 'make messages' and translate what is new"
