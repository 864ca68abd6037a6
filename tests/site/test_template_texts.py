"""No template holds a text that cannot be translated."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.early import ROOT

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
TRANSLATED = re.compile(r"{% (blocktrans\w*) .*?{% end\1 %}|{% (blocktrans\w*) %}.*?{% end\2 %}", re.DOTALL)
TAG = re.compile(r"{[%#].*?[%#]}|{{.*?}}", re.DOTALL)
COMMENT = re.compile(r"{% comment %}.*?{% endcomment %}", re.DOTALL)
SPOKEN = {"alt", "aria-label", "aria-description", "placeholder", "title", "label"}
WORD = re.compile(r"[A-Za-z]{2,}")
# Names of products and formats, which are the same everywhere.
SAME = {"fmlx", "curl", "Python", "JavaScript", "JSON", "Markdown", "UTC", "OpenAI", "SHA"}
SAME |= {"Anthropic", "SDK", "Claude", "Code", "Codex"}


class Texts(HTMLParser):
    """Texts, and attributes that are read out or shown, outside of code."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("script", "style", "code", "pre")
        self.found += [value for name, value in attrs if name in SPOKEN and value]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style", "code", "pre")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def untranslated(source: str) -> list[str]:
    for what in (COMMENT, TRANSLATED, TAG):
        source = what.sub("", source)
    parser = Texts()
    parser.feed(source)
    return [text.strip() for text in parser.found if set(WORD.findall(text)) - SAME]


def test_a_text_outside_of_a_translation_is_found() -> None:
    assert untranslated("<p>{% translate 'Fine' %} but not this</p>") == ["but not this"]
    assert untranslated('<a title="Home" href="/x">{% blocktranslate %}Fine {{ too }}{% endblocktranslate %}</a>') == [
        "Home"
    ]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_every_text_of_a_template_can_be_translated(path: Path) -> None:
    assert untranslated(path.read_text()) == []
