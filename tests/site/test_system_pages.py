"""The System, Logs and Connect pages as a browser without JavaScript sees them."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client

from fmlx_site import log_files
from inference.models import ModelFolder
from memory.models import Node

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(transactional_db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin", password="a long password"))
    return client


@pytest.fixture
def log() -> Path:
    folder = settings.FMLX.logs / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "qwen.log"
    path.write_text("a first line\nWhat FAILED here\nthe third <b>\n")
    return path


def text(html: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.decode())).replace("\xa0", " ")


def test_the_system_page_says_what_is_off_and_why(site: Client) -> None:
    Node.objects.create(name="here", boot_id="1", pid=1, runtimes={"mlx-lm": {"ok": False, "problem": "It is gone."}})
    shown = text(site.get("/system/").content)
    assert "off A GPU computes on here None was found" in shown
    assert "Runtime mlx-lm does not work It is gone." in shown


def test_an_examination_says_what_does_not_work(site: Client) -> None:
    shown = text(site.get("/system/doctor/").content)
    assert re.search(r"\d things? do(es)? not work", shown)
    assert re.search(r"models does not work No model was found", shown)


def test_a_log_is_shown_filtered_and_downloaded(site: Client, log: Path) -> None:
    page = site.get("/logs/of/engines/qwen.log").content.decode()
    assert "What FAILED here\nthe third &lt;b&gt;" in page
    page = site.get("/logs/of/engines/qwen.log", {"q": "failed"}).content.decode()
    assert "FAILED" in page
    assert "a first line" not in page
    answer = site.get("/logs/download/engines/qwen.log")
    assert b"".join(answer) == log.read_bytes()
    assert "attachment" in answer["Content-Disposition"]


def test_what_is_written_afterwards_follows_line_by_line(site: Client, log: Path) -> None:
    where = {"from": log.stat().st_size}
    assert site.get("/logs/tail/engines/qwen.log", where).json()["lines"] == []
    with log.open("a") as stream:
        stream.write("a new line\nhalf of o")
    said = site.get("/logs/tail/engines/qwen.log", where).json()
    assert said["lines"] == ["a new line"]
    with log.open("a") as stream:
        stream.write("ne\n")
    assert site.get("/logs/tail/engines/qwen.log", {"from": said["end"]}).json()["lines"] == ["half of one"]
    log.write_text("begun anew\n")
    assert site.get("/logs/tail/engines/qwen.log", {"from": said["end"]}).json()["lines"] == ["begun anew"]


@pytest.mark.parametrize("name", ["../secret_key", "../fmlx.log", "engines", "engines/none.log", "/etc/passwd"])
def test_nothing_but_logs_is_shown(site: Client, log: Path, name: str) -> None:
    (settings.FMLX.home / "fmlx.log").write_text("a secret\n")
    for what in ("of", "tail", "download"):
        assert site.get(f"/logs/{what}/{name}").status_code == 404


def test_a_log_that_is_long_is_shown_from_a_lines_beginning(log: Path) -> None:
    log.write_text("".join(f"line {number:08d}\n" for number in range(20_000)))
    piece = log_files.read(log)
    assert len(piece.text) <= log_files.TAIL_BYTES
    assert piece.text.startswith("line 0")
    assert piece.end == log.stat().st_size


def test_logs_need_a_permission_of_their_own(log: Path) -> None:
    user = User.objects.create_user("guest", password="a long password")
    client = Client()
    client.force_login(user)
    assert client.get("/logs/").status_code == client.get("/system/").status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_logs"))
    assert client.get("/logs/").status_code == 200


def test_the_snippets_have_the_real_address_and_model(site: Client) -> None:
    node = Node.objects.create(name="here", boot_id="1", pid=1)
    ModelFolder.objects.create(node=node, name="org/qwen", path="/q", type="chat")
    ModelFolder.objects.create(node=node, name="demo", path="/d", type="chat", rank=-1)
    html = site.get("/connect/", headers={"host": "localhost:1234"}).content.decode()
    assert "http://localhost:1234/v1/chat/completions" in html
    assert '"model": "org/qwen"' in html
    assert "fmlx-" not in re.sub(r"<[^>]+>", "", html)
