"""`python -m tests.e2e.picture docs/videos.png`: the README's picture of the videos page, from a real server."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.conftest import PASSWORD, chromium, log_in
from tests.early import make_home
from tests.servers import manage, running

PROMPTS = (
    "a red ball rolls to the right on a blue background",
    "зелёный квадрат движется вверх на чёрном фоне",
    "黄色圆球向左移动，灰色背景",
)


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home = make_home(Path(folder) / "home")
        manage("migrate", home=home)
        manage("firststart", home=home, env={"FMLX_ADMIN_PASSWORD": PASSWORD})
        manage("makedemo", home=home, timeout=300)
        with running(home=home) as server:
            browser = playwright.chromium.launch(**chromium())
            page = browser.new_page(base_url=server.base_url, locale="en-GB", viewport={"width": 1280, "height": 900})
            log_in(page)
            for prompt in PROMPTS:
                _make(page, prompt)
            page.screenshot(path=target)
            browser.close()


def _make(page: Page, prompt: str) -> None:
    page.get_by_label("Model", exact=True).select_option("demo-video-5b")
    page.get_by_label("Prompt", exact=True).fill(prompt)
    page.get_by_role("button", name="Make the video").click()
    expect(page.get_by_role("article", name=prompt)).to_contain_text("Completed")
    page.get_by_role("article", name=prompt).locator("video").evaluate("video => video.load()")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
