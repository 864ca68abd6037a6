"""The Chat page as a person uses it, in three languages."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import ENDLESS

SHORT, LONG = "demo-chat", ENDLESS


class Words(NamedTuple):
    """What the page says in one language."""

    button: str
    code: str
    stopped: str
    tokens: str
    hello: str


LANGUAGES = [
    Words("English", "en", "You stopped this answer.", "tokens", "What would you like to ask?"),
    Words("简体中文", "zh-hans", "您停止了这个回答。", "个词元", "您想问什么？"),
    Words("Русский", "ru", "Вы остановили этот ответ.", "токен", "О чём вы хотите спросить?"),
]


def send(page: Page, text: str, model: str) -> None:
    page.locator("#id_model").select_option(model)
    page.locator("[data-text]").fill(text)
    page.locator("[data-text]").press("Enter")


def last(page: Page, role: str = "assistant") -> Locator:
    return page.locator(f".turn.{role}").last


def ends(page: Page, state: str) -> None:
    expect(last(page)).to_have_attribute("data-state", state)
    expect(page.locator("[data-stop]")).to_have_count(0)


def is_writing(page: Page) -> None:
    expect(last(page)).to_have_attribute("data-state", "answering")
    expect(last(page).locator(".said")).to_have_text(re.compile(r"\S{3}"))


@pytest.mark.parametrize("words", LANGUAGES, ids=[words.code for words in LANGUAGES])
def test_a_conversation_from_first_word_to_export(operator: Page, words: Words, tmp_path: Path) -> None:
    page = operator
    page.get_by_role("button", name=words.button).click()
    page.goto("/chat/")
    expect(page.get_by_text(words.hello)).to_be_visible()
    page.locator(".chat-settings summary").click()
    page.locator("#id_max_tokens").fill("20")
    send(page, f"hello {words.code}", SHORT)
    ends(page, "done")
    expect(last(page).locator(".turn-figures")).to_contain_text(words.tokens)
    page.evaluate("window.sameDocument = true")

    page.locator(".chat-settings summary").click()
    page.locator("#id_max_tokens").fill("")
    page.locator("[data-text]").fill("first line")
    page.locator("[data-text]").press("Shift+Enter")
    page.locator("[data-text]").press_sequentially("second line")
    send(page, page.locator("[data-text]").input_value(), LONG)
    is_writing(page)
    expect(page.locator("[data-text]")).to_have_value("")
    expect(last(page, "user").locator(".said")).to_have_text("first line\nsecond line")
    assert page.evaluate("window.sameDocument")

    page.reload()
    is_writing(page)
    expect(page.locator(".composer .live")).to_have_attribute("data-state", "open")
    page.keyboard.press("Escape")
    ends(page, "stopped")
    expect(last(page)).to_contain_text(words.stopped)

    page.locator("#id_model").select_option(SHORT)
    page.locator("#id_max_tokens").evaluate("field => (field.value = 5)")
    last(page).locator('button[formaction$="/again/"]').click()
    ends(page, "done")
    expect(last(page).locator(".branches")).to_contain_text("2/2")
    expect(last(page).locator(".turn-who")).to_have_text(SHORT)
    last(page).locator(".branches button").first.click()
    expect(last(page)).to_contain_text(words.stopped)

    last(page, "user").locator(".edit summary").click()
    last(page, "user").locator("textarea").fill(f"edited {words.code}")
    last(page, "user").locator("textarea").press("Enter")
    expect(last(page, "user").locator(".said")).to_have_text(f"edited {words.code}")
    ends(page, "done")
    expect(page.locator(".turn")).to_have_count(4)

    page.locator(".chat-more summary").click()
    with page.expect_download() as download:
        page.locator('a[href$="export.json"]').click()
    download.value.save_as(tmp_path / "chat.json")
    kept = json.loads((tmp_path / "chat.json").read_text())
    assert [row["state"] for row in kept["messages"] if row["role"] == "assistant"] == [
        "done",
        "stopped",
        "done",
        "done",
    ]
    assert [row["content"] for row in kept["messages"] if row["role"] == "user"] == [
        f"hello {words.code}",
        "first line\nsecond line",
        f"edited {words.code}",
    ]


def test_a_conversation_is_deleted_and_brought_back(operator: Page) -> None:
    page = operator
    page.goto("/chat/")
    page.locator("#id_max_tokens").evaluate("field => (field.value = 5)")
    send(page, "to be deleted", SHORT)
    ends(page, "done")
    page.locator(".chat-more summary").click()
    page.locator("#chat-title").fill("Renamed")
    page.locator("#chat-title").press("Enter")
    expect(page.get_by_role("heading", name="Renamed")).to_be_visible()
    page.locator(".chat-more summary").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".chats li", has_text="Renamed")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", name="Renamed")).to_be_visible()
    page.locator("#chat-q").fill("no such words")
    page.locator("#chat-q").press("Enter")
    expect(page.locator(".chats li")).to_have_count(0)
    expect(page.locator("#chat-q")).to_have_value("no such words")


def test_markdown_of_a_model_cannot_load_or_run_anything(operator: Page) -> None:
    operator.goto("/chat/")
    said = (
        "<img src=x onerror=alert(1)> ![p](https://a.example/p.png) [j](javascript:alert(1)) <script>alert(1)</script>"
    )
    shown = operator.evaluate(
        """async (text) => {
            const { rendered } = await import("/static/js/markdown.js");
            const box = document.createElement("div");
            box.append(rendered(text + "\\n\\n**b** [l](https://a.example)\\n\\n```py\\n1 < 2\\n```"));
            document.body.append(box);
            return box.innerHTML;
        }""",
        said,
    )
    assert not re.search(r"<(img|script)|href=.javascript|style=", shown)
    assert "<strong>b</strong>" in shown
    assert '<code class="language-py">1 &lt; 2' in shown
    assert 'rel="noopener noreferrer nofollow"' in shown
