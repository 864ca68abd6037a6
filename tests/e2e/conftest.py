"""A real server with its real worker, and a browser that must not complain."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.early import make_home
from tests.servers import Server, manage, running

PASSWORD = "a password for tests"
ALLOWED = {"FMLX_VIDEO_MAX_PIXELS": str(20_000 * 20_000)}  # so that memory is what refuses a huge size
PATIENCE_MS = 60_000  # a small clip takes seconds; the machine may be busy

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    chromium = shutil.which("chromium")
    assert chromium, "Chromium is not installed; 'make test' says how to install it."
    return {"executable_path": chromium, "args": ["--no-sandbox"]}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home: Path = make_home(tmp_path_factory.mktemp("e2e") / "home")
    manage("migrate", home=home)
    manage("firststart", home=home, env={"FMLX_ADMIN_PASSWORD": PASSWORD})
    manage("makedemo", home=home, timeout=300)
    with running(home=home, env=ALLOWED) as started:
        yield started


@pytest.fixture
def base_url(server: Server) -> str:
    return server.base_url


@pytest.fixture
def browser_context_args(browser_context_args: dict[str, Any], base_url: str) -> dict[str, Any]:
    return {**browser_context_args, "base_url": base_url, "locale": "en-GB", "viewport": {"width": 1280, "height": 900}}


@pytest.fixture
def page(context: BrowserContext, base_url: str) -> Iterator[Page]:
    """A page whose console stays free of errors and that asks nobody but the server."""
    complaints: list[str] = []
    opened = context.new_page()
    opened.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))

    def asked(request: Request) -> None:
        if not request.url.startswith((base_url, "data:", "blob:")):
            complaints.append(f"asked {request.url}")

    opened.on("request", asked)
    yield opened
    assert complaints == []


@pytest.fixture
def operator(page: Page) -> Page:
    """Logged in, on the list of videos."""
    log_in(page)
    return page


def log_in(page: Page) -> None:
    page.goto("/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Videos", exact=True)).to_be_visible()
