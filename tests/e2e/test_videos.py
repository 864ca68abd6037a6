"""The story of a video as a person sees it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.e2e.conftest import PASSWORD, log_in
from tests.helpers import free_port, wait_for
from tests.servers import Server, manage, running

SMALL = {"Width, pixels": "64", "Height, pixels": "64", "Length, frames": "17", "Steps": "4"}
LONG = {"Width, pixels": "128", "Height, pixels": "128", "Length, frames": "81", "Steps": "100"}
PLAYABLE = "video => video.readyState > 0 && video.duration > 0 && video.videoWidth === 64"
MARK = "window.sameDocument = true"
MARKED = "window.sameDocument === true"


def ask_for(page: Page, prompt: str, **fields: str) -> None:
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_label("Size", exact=True).select_option("custom")
    knobs = page.get_by_text("Steps, seed and guidance")
    if not page.get_by_label("Steps", exact=True).is_visible():
        knobs.click()
    for label, value in fields.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Make the video").click()


def card(page: Page, prompt: str) -> Locator:
    return page.get_by_role("article", name=prompt)


def plays(page: Page, selector: str) -> None:
    """Playwright's own waiting evaluates text, which the page's policy forbids."""
    expect(page.locator(selector)).to_be_attached()  # the page may have just been left for the next
    wait_for(
        lambda: page.evaluate(f"({PLAYABLE})(document.querySelector('{selector}'))"), 60, f"{selector} being ready"
    )


def watched(page: Page, prompt: str) -> list[int]:
    """Every value the bar of a job had until it went."""
    page.evaluate(
        """() => {
          window.bar = [];
          const look = () => {
            const bar = document.querySelector("[data-jobs] li:first-child [data-bar]");
            if (bar && bar.value !== window.bar.at(-1)) window.bar.push(bar.value);
          };
          const options = { subtree: true, childList: true, attributes: true, characterData: true };
          new MutationObserver(look).observe(document.querySelector("[data-jobs]"), options);
        }"""
    )
    ask_for(page, prompt, **SMALL)
    expect(card(page, prompt)).to_contain_text("Completed")
    values: list[int] = page.evaluate("window.bar")
    return values


def test_a_prompt_becomes_a_video_that_plays_without_reloading(operator: Page) -> None:
    expect(operator.get_by_text("Live", exact=True)).to_be_visible()
    operator.evaluate(MARK)
    bar = watched(operator, "a red ball rolls")
    assert len(bar) > 3
    assert bar == sorted(bar)
    done = card(operator, "a red ball rolls")
    expect(done.get_by_role("link", name="Download")).to_be_visible()
    done.locator("video").evaluate("video => video.load() || video.play()")
    plays(operator, "video")
    assert operator.evaluate(MARKED)
    done.get_by_role("link", name="a red ball rolls").click()
    plays(operator, ".detail video")
    for part in ("Attempts", "History", "Peak memory"):
        expect(operator.get_by_text(part, exact=True).first).to_be_visible()
    log = operator.get_by_role("link", name="Log of attempt 1").get_attribute("href")
    assert operator.request.get(log or "").ok


def test_the_page_of_a_video_turns_into_its_player(operator: Page) -> None:
    ask_for(operator, "a kite climbs", **SMALL)
    operator.get_by_role("link", name="See it").click()
    operator.evaluate(MARK)
    expect(operator.locator(".detail video")).to_be_visible()
    plays(operator, ".detail video")
    assert operator.evaluate(MARKED)


def test_a_running_video_is_cancelled_and_then_deleted_after_asking(operator: Page) -> None:
    operator.evaluate(MARK)
    ask_for(operator, "a slow tide", **LONG)
    tide = card(operator, "a slow tide")
    expect(tide).to_contain_text("In progress")
    tide.get_by_role("link", name="Cancel…").click()
    operator.get_by_role("link", name="Keep it").click()
    expect(operator.get_by_role("dialog")).to_be_hidden()
    expect(tide).to_contain_text("In progress")
    tide.get_by_role("link", name="Cancel…").click()
    operator.get_by_role("button", name="Cancel the video").click()
    expect(tide).to_contain_text("Cancelled")
    expect(operator.get_by_role("dialog")).to_be_hidden()
    tide.get_by_role("link", name="Delete…").click()
    operator.get_by_role("button", name="Delete the video").click()
    expect(tide).to_have_count(0)
    assert operator.evaluate(MARKED)


def test_positions_follow_when_the_first_in_line_is_cancelled(operator: Page) -> None:
    for prompt in ("one", "two", "three"):
        ask_for(operator, f"{prompt} long clip", **LONG)
        expect(card(operator, f"{prompt} long clip")).to_be_visible()
    expect(card(operator, "three long clip")).to_contain_text("Number 2 in the queue")
    card(operator, "two long clip").get_by_role("link", name="Cancel…").click()
    operator.get_by_role("button", name="Cancel the video").click()
    expect(card(operator, "three long clip")).to_contain_text("Number 1 in the queue")
    for prompt in ("three", "one"):
        card(operator, f"{prompt} long clip").get_by_role("link", name="Cancel…").click()
        operator.get_by_role("button", name="Cancel the video").click()
        expect(card(operator, f"{prompt} long clip")).to_contain_text("Cancelled")


def test_a_request_that_can_never_fit_says_so_at_its_field(operator: Page) -> None:
    huge = {**SMALL, "Width, pixels": "16000", "Height, pixels": "16000"}
    ask_for(operator, "a very large whale", **huge)
    at_size = operator.locator(".field-size .errors")
    expect(at_size).to_have_text(re.compile(r"16000x16000 clip needs .* GiB .* \d+x\d+ would fit\."))
    expect(operator.get_by_label("Prompt", exact=True)).to_have_value("a very large whale")
    expect(operator.get_by_label("Width, pixels")).to_have_value("16000")
    expect(operator.get_by_label("Size", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(operator.get_by_role("alert")).to_be_focused()
    expect(card(operator, "a very large whale")).to_have_count(0)


def test_the_button_stays_under_the_pointer_when_the_estimate_comes(operator: Page) -> None:
    """A press that begins on it ends on it: it moved down by the estimate's lines, and then nothing was sent."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    operator.route("**/videos/estimate/**", hold)
    with operator.expect_request("**/videos/estimate/**"):
        operator.goto("/videos/")
    operator.get_by_role("button", name="Make the video").hover()
    operator.mouse.down()
    held[0].continue_()
    expect(operator.locator("[data-estimate]")).to_contain_text("at its peak")
    operator.mouse.up()
    expect(operator.get_by_role("alert")).to_contain_text("nothing you typed is lost")


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [("简体中文", "zh-hans", ("视频", "生成视频", "实时")), ("Русский", "ru", ("Видео", "Создать видео", "На связи"))],
)
def test_the_page_changes_language_and_stays_where_it_was(
    operator: Page, name: str, code: str, words: tuple[str, ...]
) -> None:
    operator.get_by_role("button", name=name).click()
    expect(operator.locator("html")).to_have_attribute("lang", code)
    assert operator.url.endswith("/videos/")
    for word in words:
        expect(operator.get_by_text(word, exact=True).first).to_be_visible()


def test_the_form_is_filled_and_sent_by_keyboard_alone(operator: Page) -> None:
    def tab_to(selector: str) -> None:
        for _ in range(40):
            operator.keyboard.press("Tab")
            if operator.evaluate("at => document.activeElement.matches(at)", selector):
                return
        raise AssertionError(f"{selector} is not reached by Tab")

    operator.keyboard.press("Tab")
    expect(operator.get_by_role("link", name="Skip to the content")).to_be_focused()
    operator.keyboard.press("Enter")
    tab_to("#id_prompt")
    operator.keyboard.type("a lamp by the keys")
    tab_to("#id_size")
    operator.keyboard.press("End")
    tab_to("#id_width")
    operator.keyboard.type("64")
    tab_to("#id_height")
    operator.keyboard.type("64")
    tab_to("summary")
    operator.keyboard.press("Enter")
    tab_to("#id_steps")
    operator.keyboard.type("2")
    tab_to("#id_frames")
    operator.keyboard.type("5")
    tab_to("button[type=submit]")
    operator.keyboard.press("Enter")
    expect(card(operator, "a lamp by the keys")).to_contain_text("Completed")


def test_an_open_page_comes_back_by_itself_after_a_restart(browser: Browser, home: Path) -> None:
    manage("migrate", home=home)
    manage("firststart", home=home, env={"FMLX_ADMIN_PASSWORD": PASSWORD})
    port = free_port()
    context = browser.new_context(base_url=f"http://127.0.0.1:{port}", locale="en-GB")
    try:
        page = context.new_page()
        with running(home=home, port=port):
            log_in(page)
            expect(page.get_by_text("Live", exact=True)).to_be_visible()
            page.evaluate(MARK)
        expect(page.get_by_text("Reconnecting…")).to_be_visible()
        with running(home=home, port=port):
            expect(page.get_by_text("Live", exact=True)).to_be_visible()
        assert page.evaluate(MARKED)
    finally:
        context.close()


def test_everything_works_without_javascript(browser: Browser, server: Server) -> None:
    context = browser.new_context(java_script_enabled=False, base_url=server.base_url, locale="en-GB")
    try:
        page = context.new_page()
        log_in(page)
        ask_for(page, "a plain clip", **LONG)
        expect(page.get_by_text("The video is in the queue.")).to_be_visible()
        page.get_by_role("link", name="Refresh").first.click()
        card(page, "a plain clip").get_by_role("link", name="Cancel…").click()
        page.get_by_role("button", name="Cancel the video").click()
        expect(page.get_by_text("The video was cancelled.")).to_be_visible()
        page.get_by_role("link", name="Delete…").click()
        page.get_by_role("button", name="Delete the video").click()
        expect(page.get_by_text("The video was deleted.")).to_be_visible()
    finally:
        context.close()
