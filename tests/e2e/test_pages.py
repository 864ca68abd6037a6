"""Every page in every language and theme: nothing that axe finds, no English left, no complaint of console or log."""

import json
import re
from contextlib import closing
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import PASSWORD
from tests.early import ROOT
from tests.servers import Server

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PAGES = (
    "/",
    "/videos/",
    "/models/",
    "/models/of/demo-chat/",
    "/memory/",
    "/cache/",
    "/logs/",
    "/system/",
    "/connect/",
    "/chat/",
    "/requests/",
    "/usage/",
    "/keys/",
    "/keys/make/",
    "/webhooks/",
    "/users/",
    "/users/make/",
    "/videos/presets/",
    "/videos/presets/demo-video/?name=draft",
    *(f"/settings/{group}/" for group in ("memory", "chat", "cache", "sampling", "videos", "steps", "requests")),
    *(f"/settings/{group}/" for group in ("hub", "webhooks", "logging", "server")),
    "/audit/",
    "/password/",
    "/admin/",
    "/admin/videos/videojob/",
    "/admin/fmlx_site/change/",
    "/admin/inference/modelfolder/",
    "/admin/inference/apikey/",
    "/admin/memory/node/",
    "/admin/auth/user/",
)
DETAILS = ("/admin/inference/modelfolder/", "/admin/inference/apikey/", "/admin/memory/node/", "/admin/auth/user/")
MOST_WEIGHT = 150_000  # bytes of the first page over the wire, with all that it loads
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]  # what a theme changes: the rest of the page is the same
# Names of products, formats and units, and what is the same in every language.
SAME = re.compile(
    r"fmlx|mlx|OpenAI|Anthropic SDK|Claude Code|Codex|"
    r"LM Studio|English|Python|JavaScript|Django|curl|API|KEY|DATABASE_URL|REDIS_URL|FMLX_MODEL_DIRS|"
    r"Hugging Face|Xet|HF_TOKEN|\bmain\b|"
    r"PostgreSQL|Redis|SQLite|sqlite|GPU|CPU|HTTP|SSD|Hub|UTC|admin|demo[-\w]*|credentials\.json|manage\.py|"
    r"float32|SHA-256|[Aa]xes|first key|uvloop|httptools|Linux[-\w.]*|x86_64|cpu|flow shift|"
    r"[KMGT]iB|Top [pk]|Min p|RAM|DEBUG|INFO|WARNING|ERROR"
)
WORDS = """() => {
  const foreign = "pre, code, .id, [lang=en], script, style, option, dd, .models-table td:first-child, .brand";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest(foreign)) found.push(walker.currentNode.data);
  return found;
}"""


def violations(page: Page, rules: list[str] = RULES) -> list[Any]:
    page.evaluate(AXE.read_text())
    options = {"runOnly": rules, "preload": False}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [(one["id"], [node["html"][:160] for node in one["nodes"]][:3]) for one in found["violations"]]


@pytest.mark.parametrize("code", ["en", "zh-hans", "ru"])
def test_every_page_is_accessible_in_light_and_dark_and_in_its_language(
    operator: Page, server: Server, code: str
) -> None:
    operator.locator(f".languages [value={code}]").click()
    expect(operator.locator("html")).to_have_attribute("lang", code)
    problems = []
    for path in (*PAGES, *details(operator)):
        operator.goto(path)
        for theme, rules in (("light", RULES), ("dark", OF_COLOURS)):
            operator.emulate_media(
                color_scheme=cast("Any", theme), reduced_motion="reduce"
            )  # axe must not see half a change
            problems += [(path, theme, *one) for one in violations(operator, rules)]
        if code != "en":
            problems += [(path, "English", text) for text in english(operator)]
    assert not problems, "\n".join(map(str, problems))
    assert [line for line in server.output().splitlines() if loud(line)] == []


def details(page: Page) -> list[str]:
    """A row of each list of the administration."""
    found = []
    for path in DETAILS:
        page.goto(path)
        found.append(page.locator("#result_list a").first.get_attribute("href") or path)
    return found


def test_the_first_page_is_light(operator: Page) -> None:
    session = operator.context.new_cdp_session(operator)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    weights: list[float] = []
    session.on("Network.loadingFinished", lambda event: weights.append(event["encodedDataLength"]))
    for path in ("/", "/videos/"):
        weights.clear()
        operator.goto(path)
        operator.wait_for_load_state("networkidle")
        assert len(weights) > 4
        assert sum(weights) <= MOST_WEIGHT, (path, weights)


def test_every_page_can_be_read_without_javascript(browser: Browser, server: Server, operator: Page) -> None:
    state = operator.context.storage_state()
    with closing(
        browser.new_context(base_url=server.base_url, java_script_enabled=False, storage_state=state)
    ) as context:
        page = context.new_page()
        for path in PAGES:
            page.goto(path)
            expect(page.locator("h1").first).to_be_visible()
            assert len(page.locator("main, #content").first.inner_text()) > 20, path
        page.goto("/models/")
        expect(page.get_by_role("link", name="demo-chat", exact=True)).to_be_visible()
        page.get_by_role("link", name="Connect").click()
        expect(page.get_by_role("heading", name="Connect")).to_be_visible()


def test_who_is_logged_out_meanwhile_logs_in_again_and_comes_back(operator: Page, server: Server) -> None:
    operator.goto("/usage/")
    operator.context.clear_cookies(name="fmlx_session")  # as the browser does when its time is over
    operator.get_by_role("link", name="Keys").click()
    operator.get_by_label("Username").fill("admin")
    operator.get_by_label("Password").fill(PASSWORD)
    operator.locator("main").get_by_role("button", name="Log in").click()
    expect(operator.get_by_role("heading", name="Keys", exact=True)).to_be_visible()


def loud(line: str) -> bool:
    """Whether a line of the server's log says more than that something was done."""
    if not line.startswith("{"):
        return "Traceback" in line or "Warning" in line
    return json.loads(line).get("level") not in ("debug", "info")


def english(page: Page) -> list[str]:
    texts = (SAME.sub("", text) for text in page.evaluate(WORDS))
    return [text.strip() for text in texts if re.search(r"[A-Za-z]{3,} [A-Za-z]{2,}", text)]


@pytest.mark.parametrize("width", [360, 2560])
def test_every_page_is_as_wide_as_its_window(operator: Page, width: int) -> None:
    operator.set_viewport_size({"width": width, "height": 800})
    for path in PAGES:
        operator.goto(path)
        expect(operator.locator("h1").first).to_be_visible()
        assert operator.evaluate("document.documentElement.scrollWidth") <= width, path
        if width < 1000 and not path.startswith("/admin/"):
            expect(operator.locator("#menu nav")).to_be_hidden()
    operator.goto("/")
    if width < 1000:
        operator.get_by_role("button", name="Menu").click()
        operator.get_by_role("link", name="Models").click()
        expect(operator.get_by_role("heading", name="Models", exact=True)).to_be_visible()


def test_a_model_is_loaded_seen_idle_and_unloaded_by_keyboard(operator: Page) -> None:
    operator.goto("/models/")
    expect(operator.get_by_text("Live", exact=True)).to_be_visible()
    row = operator.locator("[data-model=demo-chat]")
    load = row.get_by_role("button", name="Load demo-chat")
    load.focus()
    operator.keyboard.press("Enter")
    expect(row.get_by_text("idle")).to_be_visible()
    unload = row.get_by_role("button", name="Unload demo-chat")
    unload.focus()
    operator.keyboard.press("Enter")
    expect(row.get_by_text("not loaded")).to_be_visible()


def test_a_new_user_makes_a_clip_from_the_home_page(operator: Page) -> None:
    operator.goto("/")
    operator.get_by_role("link", name="a red ball moves right").click()
    expect(operator.locator("#id_prompt")).to_have_value("a red ball moves right on a black background")
    assert operator.locator("#id_model").input_value().startswith("demo-video")
