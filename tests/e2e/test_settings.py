"""The Memory, Settings and Audit pages as a person uses them, in three languages."""

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.servers import Server, manage


class Words(NamedTuple):
    """What the pages say in one language."""

    button: str
    code: str
    live: str
    saved: str
    limit: str
    none: str
    size: str
    refused: str


LANGUAGES = [
    Words("English", "en", "Live", "1 setting was changed.", "Hard limit", "none", "2.0", "It would be refused."),
    Words("简体中文", "zh-hans", "实时", "已更改 1 项设置。", "硬上限", "无", "2.0", "会被拒绝。"),
    Words("Русский", "ru", "На связи", "Изменена 1 настройка.", "Жёсткий предел", "нет", "2,0", "Будет отказ."),
]


RESET = "from fmlx_site import audit, option_store as store; store.reset(['memory_limit_bytes'], audit.Origin())"


@pytest.fixture
def _defaults_after(server: Server) -> Iterator[None]:
    """The server that the tests share has its defaults again; it notices by itself."""
    yield
    manage("shell", "-v0", "-c", RESET, home=server.home)


@pytest.mark.usefixtures("_defaults_after")
@pytest.mark.parametrize("words", LANGUAGES, ids=[words.code for words in LANGUAGES])
def test_a_setting_is_changed_and_holds_at_once(operator: Page, tab: Page, words: Words) -> None:
    operator.get_by_role("button", name=words.button).click()
    operator.goto("/memory/")
    expect(operator.locator("html")).to_have_attribute("lang", words.code)
    expect(operator.get_by_text(words.live, exact=True)).to_be_visible()
    operator.evaluate("window.sameDocument = true")

    tab.goto("/settings/")
    tab.locator("#id_memory_limit_bytes").fill("2000")
    tab.locator(".options .primary").click()
    expect(tab.locator(".field-memory_limit_bytes .errors")).to_contain_text("2000.00 GiB")
    tab.locator("#id_memory_limit_bytes").fill("2")
    tab.locator(".options .primary").click()
    expect(tab.locator(".messages")).to_contain_text(words.saved)

    expect(operator.locator("[data-ceiling]")).to_have_text(re.compile(rf"{words.size}\sGiB"))
    assert operator.evaluate("window.sameDocument")
    tab.goto("/audit/")
    expect(tab.locator("tbody tr").first).to_contain_text(words.limit)
    expect(tab.locator("tbody tr").first).to_contain_text(re.compile(rf"{words.none}\s+2\sGiB"))

    operator.locator("#fit form").last.locator("[name=width]").fill("4096")
    operator.locator("#fit form").last.get_by_role("button").click()
    expect(operator.locator("#fit [role=status]")).to_contain_text(words.refused)
    tab.goto("/videos/")
    tab.locator("#id_prompt").fill("a whale too large")
    tab.locator("#id_size").select_option("1280x704")
    tab.locator(".video-form .primary").click()
    why = tab.locator(".field-size .errors")
    expect(why).to_contain_text("2.00 GiB")
    expect(operator.get_by_text(why.inner_text(), exact=True).first).to_be_visible()  # without a reload


def test_the_memory_page_is_used_by_keyboard(operator: Page) -> None:
    operator.goto("/memory/")
    for span in ("1 h", "48 h", "30 days", "5 min"):
        button = operator.get_by_role("button", name=span, exact=True)
        button.focus()
        operator.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-pressed", "true")
    operator.get_by_role("button", name="Pause").focus()
    operator.keyboard.press("Space")
    expect(operator.get_by_role("button", name="Go on")).to_have_attribute("aria-pressed", "true")
    operator.locator("summary", has_text="The last hour as a table").focus()
    operator.keyboard.press("Enter")
    expect(operator.get_by_role("columnheader", name="In use by everybody")).to_be_visible()


@pytest.mark.parametrize("path", ["/memory/", "/settings/", "/settings/videos/", "/audit/"])
@pytest.mark.parametrize("code", ["zh-hans", "ru"])
def test_a_phone_shows_all_of_it(operator: Page, path: str, code: str) -> None:
    operator.locator(f".languages [value={code}]").click()
    operator.set_viewport_size({"width": 360, "height": 800})
    operator.goto(path)
    expect(operator.locator("h1")).to_be_visible()
    assert operator.evaluate("document.documentElement.scrollWidth") <= 360
