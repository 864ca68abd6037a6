"""A real server with its real worker, and a browser that must not complain."""

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from memory import environments
from tests.early import KEPT_HOME, ROOT, make_home
from tests.house import copy_house
from tests.servers import Server, manage, running
from tools.system import CHROME_ON_MACOS, CHROMIUM

ENDLESS = "demo-endless"  # a model that writes until it is stopped
PASSWORD = "a password for tests"
ALLOWED = {"FMLX_VIDEO_MAX_PIXELS": str(20_000 * 20_000)}  # so that memory is what refuses a huge size
# One that nobody works on and one that failed, for the Models page to show.
DOWNLOADS = """
from inference.models import Download
from memory import parts_of, say
Download.objects.create(repository="demo/on-its-way", state="running", bytes_done=1, bytes_total=4, bytes_per_second=1)
why = say("download_unreachable", hub="http://hub.invalid")
Download.objects.create(repository="demo/away", state="failed", error_message=why, error_said=parts_of(why))
"""
PATIENCE_MS = 60_000  # a small clip takes seconds; the machine may be busy

expect.set_options(timeout=PATIENCE_MS)


def chromium() -> dict[str, Any]:
    """How to launch the Chromium that this machine has."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None) or (CHROME_ON_MACOS.exists() and str(CHROME_ON_MACOS))
    if not found:
        assert not os.environ.get("FMLX_REQUIRE_SERVICES"), "Chromium is not installed; 'make test' installs it."
        pytest.skip("Chromium is not installed; 'make test' says how to install it.")
    sandboxless = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's sandbox refuses root
    return {"executable_path": found, "args": ["--disable-dev-shm-usage", *sandboxless]}


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    return chromium()


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home: Path = make_home(tmp_path_factory.mktemp("e2e") / "home")
    manage("migrate", home=home)
    manage("firststart", home=home, env={"FMLX_ADMIN_PASSWORD": PASSWORD})
    manage("makedemo", home=home, timeout=300)
    manage("shell", "-v0", "-c", DOWNLOADS, home=home)
    _make_endless(home / "models" / ENDLESS)
    return home


@pytest.fixture(scope="module")
def server(furnished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Each file has one of its own: what one story changes is not another's."""
    home = copy_house(furnished, tmp_path_factory.mktemp("served") / "home")
    with running(home=home, env=ALLOWED) as started:
        yield started


def _make_endless(model: Path) -> None:
    """Random weights come upon the end token by chance: let there be none that they can come upon."""
    make = [str(environments.build(KEPT_HOME, "mlx-lm")), "-m", "inference.engine.demo", str(model), "--kind", "hybrid"]
    subprocess.run(make, cwd=ROOT, check=True)
    generation, tokenizer = model / "generation_config.json", model / "tokenizer_config.json"
    generation.write_text(json.dumps({**json.loads(generation.read_text()), "eos_token_id": [2**30]}))
    tokenizer.write_text(json.dumps({**json.loads(tokenizer.read_text()), "eos_token": None}))


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "locale": "en-GB", "viewport": {"width": 1280, "height": 900}}


@pytest.fixture
def context(new_context: Callable[..., BrowserContext], server: Server) -> BrowserContext:
    """Told the address here: the plugin's own `base_url` is one for the whole session."""
    return new_context(base_url=server.base_url)


@pytest.fixture
def page(context: BrowserContext, server: Server) -> Iterator[Page]:
    """A page whose console stays free of errors and that asks nobody but the server."""
    yield from _watched(context, server.base_url)


@pytest.fixture
def tab(context: BrowserContext, server: Server) -> Iterator[Page]:
    """A second one, of the same browser."""
    yield from _watched(context, server.base_url)


def _watched(context: BrowserContext, base_url: str) -> Iterator[Page]:
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
    page.goto("/videos/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("main").get_by_role("button", name="Log in").click()
    page.locator(".languages [value=en]").click()  # the profile may keep what an earlier test chose
    expect(page.get_by_role("heading", name="Videos", exact=True)).to_be_visible()


@pytest.fixture(autouse=True)
def _nothing_left_running(server: Server) -> Iterator[None]:
    """A test that fails half-way leaves a job; the next one must not wait behind it."""
    yield
    with closing(sqlite3.connect(server.home / "fmlx.sqlite3")) as database:
        query = "SELECT count(*) FROM videos_videojob WHERE status IN ('queued', 'in_progress')"
        (unfinished,) = database.execute(query).fetchone()
    if unfinished:
        manage("shell", "-c", "from videos.models import VideoJob; VideoJob.objects.all().delete()", home=server.home)
