"""`python -m tests.e2e.screenshots docs/screenshots`: every page in every language, light and dark, from a real server.

After the folder may stand names of pages, to take these alone.
"""

import base64
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import httpx
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.conftest import ALLOWED, PASSWORD, chromium, log_in
from tests.early import make_home
from tests.servers import Server, manage, running

KEY = "fmlx-key-of-the-pictures"
LANGUAGES = ("en", "zh-hans", "ru")
THEMES = ("light", "dark")
PAGES = {
    "home": "/",
    "chat": "/chat/",
    "videos": "/videos/",
    "models": "/models/",
    "model": "/models/of/demo-chat/",
    "memory": "/memory/",
    "cache": "/cache/",
    "requests": "/requests/",
    "usage": "/usage/",
    "logs": "/logs/",
    "system": "/system/",
    "connect": "/connect/",
    "keys": "/keys/",
    "key-make": "/keys/make/",
    "webhooks": "/webhooks/",
    "users": "/users/",
    "user-make": "/users/make/",
    "presets": "/videos/presets/",
    "preset": "/videos/presets/demo-video/?name=draft",
    "settings": "/settings/",
    "settings-sampling": "/settings/sampling/",
    "audit": "/audit/",
    "password": "/password/",
    "admin": "/admin/",
    "admin-videos": "/admin/videos/videojob/",
}
PROMPTS = (
    "a red ball rolls to the right on a blue background",
    "зелёный квадрат движется вверх на чёрном фоне",
    "黄色圆球向左移动，灰色背景",
)
TALLEST = 2400  # pixels of a page that are shown
QUALITY = 42


def main(folder: Path, chosen: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        home = make_home(Path(place) / "home")
        manage("migrate", "-v0", home=home)
        manage("firststart", home=home, env={"FMLX_ADMIN_PASSWORD": PASSWORD, "FMLX_API_KEY": KEY})
        manage("makedemo", home=home, timeout=300)
        (home / "models" / "unfinished").mkdir()
        (home / "models" / "unfinished" / "config.json").write_text('{"model_type": "llama"}')
        with running(home=home, env=ALLOWED) as server, closing(playwright.chromium.launch(**chromium())) as browser:
            size = {"width": 1280, "height": 800}
            page = browser.new_page(base_url=server.base_url, locale="en-GB", viewport=size)  # type: ignore[arg-type]
            log_in(page)
            live_in(page, server)
            pages = pages_of(page)
            take(page, folder, {name: pages[name] for name in chosen or pages})


def live_in(page: Page, server: Server) -> None:
    """So that no page is empty: clips, a conversation, requests, a key and a changed setting."""
    with httpx.Client(base_url=server.base_url, headers={"Authorization": f"Bearer {KEY}"}, timeout=120) as client:
        for prompt in PROMPTS:
            client.post("/v1/videos", json={"model": "demo-video-5b", "prompt": prompt}).raise_for_status()
        for question in ("What is fmlx?", "Count from 3 to 9."):
            said = {"model": "demo-chat", "messages": [{"role": "user", "content": question}], "max_tokens": 40}
            client.post("/v1/chat/completions", json=said).raise_for_status()
        client.post("/v1/chat/completions", json={**said, "model": "qwen3"})
        client.post("/v1/videos", json={"model": "demo-video-5b", "prompt": "too large", "size": "19968x19968"})
    page.goto("/settings/chat/")
    page.locator("input[name=engine_idle_seconds]").fill("20")
    page.locator("main").get_by_role("button", name="Save").click()
    page.goto("/chat/?text=What is fmlx%3F&model=demo-chat")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".turn-figures")).to_be_visible()
    page.goto("/videos/")
    for prompt in PROMPTS:
        expect(page.get_by_role("article", name=prompt)).to_contain_text("Completed")


def pages_of(page: Page) -> dict[str, str]:
    """With those whose address is known only now."""
    page.goto("/chat/")
    conversation = page.locator("#chats a[href^='/chat/']").last.get_attribute("href") or ""
    page.goto("/videos/")
    video = page.locator("article a[href^='/videos/video_']").first.get_attribute("href") or ""
    page.goto("/requests/")
    request = page.locator("main table a[href^='/requests/']").first.get_attribute("href") or ""
    page.goto("/keys/")
    key = page.locator("main table a[href^='/keys/']").first.get_attribute("href") or ""
    return {**PAGES, "conversation": conversation, "video": video, "request": request, "key": key}


def take(page: Page, folder: Path, pages: dict[str, str]) -> None:
    for language in LANGUAGES:
        page.goto("/connect/")
        page.locator(f".languages [value={language}]").click()
        for theme in THEMES:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
            (folder / language / theme).mkdir(parents=True, exist_ok=True)
            for name, url in pages.items():
                page.goto(url)
                page.wait_for_load_state("networkidle")
                picture(page, folder / language / theme / f"{name}.webp")


def picture(page: Page, path: Path) -> None:
    """The whole page, down to TALLEST. Chromium makes WebP, which Playwright does not ask it for."""
    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": size[0], "height": min(size[1], TALLEST), "scale": 1}
    session = page.context.new_cdp_session(page)
    asked = {"format": "webp", "quality": QUALITY, "clip": clip, "captureBeyondViewport": True}
    path.write_bytes(base64.b64decode(session.send("Page.captureScreenshot", asked)["data"]))
    session.detach()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
