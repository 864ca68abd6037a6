"""A furnished FMLX_HOME for tests that run the whole server: database, demo model, operator and key."""

import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.helpers import wait_for
from tests.servers import SERVE, Server, manage, running

KEY = "fmlx-key-of-the-tests"
PASSWORD = "a password of the tests"
SHAPE: dict[str, Any] = {"model": "demo-video", "prompt": "a red ball", "size": "64x64", "frames": 5, "steps": 2}
FIRST = {"FMLX_API_KEY": KEY, "FMLX_ADMIN_PASSWORD": PASSWORD}
Video = dict[str, Any]


def furnish(home: Path, env: Mapping[str, str] | None = None) -> Path:
    """Make the database, the demo model, the operator `admin` with PASSWORD, and KEY."""
    manage("buildworker", "mlx-gen", "--skip-checks", home=home, timeout=600)
    manage("makedemo", "--skip-checks", home=home)
    settle_in(home, env)
    return home


def settle_in(home: Path, env: Mapping[str, str] | None = None) -> None:
    """Database, operator and key, where the models are there already."""
    manage("migrate", "-v0", "--skip-checks", home=home, env=env)
    manage("firststart", "--skip-checks", home=home, env={**(env or {}), **FIRST})


def copy_house(template: Path, home: Path) -> Path:
    """A house of its own for a test, with the template's database."""
    return Path(shutil.copytree(template, home, symlinks=True, dirs_exist_ok=True))


@contextmanager
def open_house(home: Path, env: Mapping[str, str] | None = None, **options: Any) -> Iterator["Client"]:
    """`manage.py serve` in this home, and a client with KEY. `client.server` is the process."""
    with running(SERVE, home=home, env=env, **options) as server, Client(server) as client:
        yield client


class Client(httpx.Client):
    """The API with KEY. What is asked for must be answered with a status below 400."""

    def __init__(self, server: Server) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        super().__init__(base_url=server.base_url, headers=headers, timeout=30, trust_env=False)
        self.server = server

    def make(self, **fields: Any) -> Video:
        made: Video = self.read("POST", "/v1/videos", json={**SHAPE, **fields})
        return made

    def video(self, video_id: str) -> Video:
        video: Video = self.read("GET", f"/v1/videos/{video_id}")
        return video

    def read(self, method: str, url: str, **options: Any) -> Any:
        answer = self.request(method, url, **options)
        assert answer.is_success, f"{method} {url} gave {answer.status_code}: {answer.text}"
        return answer.json()

    def operate(self) -> httpx.Client:
        """The pages, as the operator `admin` sees them in a browser of their own."""
        browser = httpx.Client(base_url=self.base_url, follow_redirects=True, timeout=30, trust_env=False)
        browser.get("/login/")
        form = {"username": "admin", "password": PASSWORD, "csrfmiddlewaretoken": browser.cookies["fmlx_csrf"]}
        browser.post("/login/", data=form).raise_for_status()
        return browser

    def until(self, video_id: str, *statuses: str, timeout: float = 60) -> Video:
        """The video when it has one of these states."""

        def reached() -> Video | None:
            video = self.video(video_id)
            return video if video["status"] in statuses else None

        return wait_for(reached, timeout, f"{video_id} becoming {' or '.join(statuses)}") or {}

    def until_phase(self, video_id: str, *phases: str, timeout: float = 60) -> Video:
        def reached() -> Video | None:
            video = self.video(video_id)
            return video if video["phase"] in phases else None

        return wait_for(reached, timeout, f"{video_id} getting to {' or '.join(phases)}") or {}


def workers_of(home: Path) -> list[psutil.Process]:
    """The worker processes of this home's nodes that run now, found by the mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if environment.get("FMLX_HOME") == str(home) and "FMLX_LEASE" in environment:
                found += [process] if process.status() != psutil.STATUS_ZOMBIE else []
        except (psutil.Error, OSError):
            continue
    return found


def kill_workers(home: Path) -> int:
    """SIGKILL them; returns how many there were."""
    workers = workers_of(home)
    for worker in workers:
        try:
            os.kill(worker.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return len(workers)


def ask(home: Path, code: str, env: Mapping[str, str] | None = None) -> str:
    """What `manage.py shell` prints for `code`: the database as the server sees it."""
    return manage("shell", "-v0", "-c", code, home=home, env=env).strip()


def stopped_after(server: Server) -> float:
    """Seconds from SIGTERM to the end of the process."""
    began = time.monotonic()
    server.killed = True  # leaving the block asks no more of it
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0, server.output()
    return time.monotonic() - began
