"""The Home page, the frame around every page, and the navigation, as a browser without JavaScript sees them."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fmlx_site.credentials import first_start
from fmlx_site.environment import Environment
from fmlx_site.models import Change, Profile
from inference.models import ApiKey, ModelFolder, RequestLog
from memory.models import Event, Lease, Node
from videos.models import VideoJob

pytestmark = pytest.mark.django_db(transaction=True)
GIB = 2**30
WORKS = {"mlx-lm": {"ok": True, "versions": {}}}
MOST_QUERIES = 10  # two of them the session's and the user's


@pytest.fixture
def operator() -> User:
    return User.objects.create_superuser("admin", password="a long password")


@pytest.fixture
def site(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def node() -> Node:
    node = Node.objects.create(name="here", boot_id="1", pid=1, ceiling_bytes=8 * GIB, runtimes=WORKS)
    ModelFolder.objects.create(node=node, name="qwen", path="/models/qwen", type="chat", size_bytes=GIB)
    return node


def text(html: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.decode())).replace("\xa0", " ")


def job(**fields) -> VideoJob:
    shape = {"width": 64, "height": 64, "frames": 5, "fps": 16, "steps": 2, "seed": 1}
    return VideoJob.objects.create(model="demo", prompt="a red ball", **{**shape, **fields})


def test_all_is_well_when_nothing_is_wrong(site: Client, node: Node) -> None:
    assert "All is well" in text(site.get("/").content)


def test_what_is_wrong_is_said_with_what_mends_it(site: Client, node: Node) -> None:
    node.heartbeat_at = timezone.now() - timedelta(seconds=100)
    node.runtimes = {"mlx-lm": {"ok": False, "problem": "gone", "mend_command": "manage.py buildworker mlx-lm"}}
    node.save()
    Event.objects.create(node=node, what="killed", holder="qwen")
    job(status="failed", error_code="worker_crashed", completed_at=timezone.now())
    job(status="failed", error_code="cancelled", completed_at=timezone.now())
    ModelFolder.objects.all().delete()
    shown = text(site.get("/").content)
    assert "6 things need attention" not in shown
    assert "5 things need attention" in shown
    for said in (
        r"here has been silent for 10\d seconds",
        "mlx-lm of here does not work.*manage.py buildworker mlx-lm",
        "The watchdog ended 1 worker",
        "1 video failed",
        "No model was found",
    ):
        assert re.search(said, shown), said


def test_what_runs_and_what_waits_is_shown(site: Client, node: Node) -> None:
    Lease.objects.create(node=node, kind="engine", holder="qwen", bytes=2 * GIB)
    job()
    shown = text(site.get("/").content)
    assert "2.0 GiB of 8.0 GiB promised" in shown
    assert "engine qwen 2.0 GiB" in shown
    assert "Number 1 in the queue" in shown
    assert text(site.get("/home/parts/").content).strip() in shown


def test_a_user_sees_only_what_is_permitted(node: Node) -> None:
    client = Client()
    guest = User.objects.create_user("guest", password="a long password")
    client.force_login(guest)
    html = client.get("/").content.decode()
    assert "promised to workers</" not in html
    links = re.findall(r'<li><a href="(/[a-z]*/?)"', html)
    assert "/connect/" in links
    assert not {"/memory/", "/models/", "/logs/", "/settings/", "/admin/"} & set(links)
    guest.user_permissions.add(Permission.objects.get(codename="view_lease"))
    html = client.get("/").content.decode()
    assert 'data-sockets="/ws/memory/ /ws/requests/"' in html
    assert '<li><a href="/memory/"' in html


def test_the_page_that_is_open_is_marked_and_so_is_what_lies_below_it(site: Client, node: Node) -> None:
    assert '<a href="/models/" aria-current="page">' in site.get("/models/").content.decode()
    assert '<a href="/models/" aria-current="true">' in site.get("/models/of/qwen/").content.decode()
    assert '<a href="/" aria-current' not in site.get("/models/").content.decode()


@pytest.mark.parametrize(
    "path", ["/", "/models/", "/system/", "/logs/", "/connect/", "/memory/", "/nowhere/", "/login/"]
)
def test_every_page_forbids_what_is_not_its_own_and_has_nothing_inline(site: Client, node: Node, path: str) -> None:
    answer = site.get(path, follow=True)
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"
    html = answer.content.decode()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", html)
    scripts = re.findall(r"<script[^>]*>(?=.)", html, re.DOTALL)
    assert all("src=" in script or "application/json" in script for script in scripts)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', html)


def test_a_session_ends_after_a_week(site: Client, node: Node) -> None:
    begun = timezone.now()
    assert site.get("/").status_code == 200
    session = Session.objects.get()
    assert timedelta(days=6.9) < session.expire_date - begun <= timedelta(days=7, minutes=1)
    Session.objects.update(expire_date=begun - timedelta(seconds=1))
    assert site.get("/usage/")["Location"] == "/login/?next=/usage/"


def test_a_page_costs_few_queries_however_much_there_is(site: Client, node: Node) -> None:
    for number in range(30):
        Lease.objects.create(node=node, kind="engine", holder=f"qwen-{number}", bytes=GIB)
        ModelFolder.objects.create(node=node, name=f"m{number}", path=f"/models/{number}", type="chat")
        job()
    for path, most in (("/", MOST_QUERIES), ("/models/", 10), ("/system/", 5), ("/connect/", 7)):
        with CaptureQueriesContext(connection) as captured:
            assert site.get(path).status_code == 200
        assert len(captured) <= most, (path, [query["sql"][:90] for query in captured])


def test_language_and_theme_are_kept_and_come_back_with_the_next_login(operator: User) -> None:
    first, second = Client(), Client()
    first.force_login(operator)
    assert first.post("/language/", {"language": "ru", "next": "/memory/"})["Location"] == "/memory/"
    first.post("/theme/", {"theme": "dark"})
    html = first.get("/").content.decode()
    assert '<html lang="ru" data-theme="dark">' in html
    second.post("/login/", {"username": "admin", "password": "a long password"})
    assert '<html lang="ru" data-theme="dark">' in second.get("/").content.decode()
    first.post("/theme/", {"theme": ""})
    assert "data-theme" not in first.get("/").content.decode()


@pytest.mark.parametrize("next_", ["https://example.com/", "//example.com/", "javascript:alert(1)"])
def test_a_switch_leads_back_to_this_server_only(site: Client, next_: str) -> None:
    assert site.post("/theme/", {"theme": "dark", "next": next_})["Location"] == "/"


def test_a_made_password_is_asked_to_be_changed_and_the_change_is_kept_in_the_trail(tmp_path) -> None:
    made = first_start(Environment(home=tmp_path))
    assert made
    client = Client()
    answer = client.post("/login/", {"username": made.username, "password": made.password})
    assert answer["Location"] == "/password/"
    assert "made by the server" in text(client.get("/password/").content)
    assert "still the one that the server made" in text(client.get("/").content)
    new = {"old_password": made.password, "new_password1": "words of my own", "new_password2": "words of my own"}
    client.post("/password/", new)
    assert not Profile.objects.get().password_was_made
    assert "still the one" not in text(client.get("/").content)
    change = Change.objects.get(what="user")
    assert (change.name, change.new) == ("admin", {"password": "changed"})
    assert "words" not in str(change.__dict__)


def test_who_guesses_passwords_has_to_wait_and_others_do_not(operator: User) -> None:
    client = Client()
    wrong = {"username": "admin", "password": "a guess"}
    for _ in range(4):
        assert client.post("/login/", wrong).status_code == 200
    answer = client.post("/login/", wrong)
    assert answer.status_code == 429
    assert "Too many attempts to log in have failed from here. Try again in 10 min 0 s" in text(answer.content)
    right = {"username": "admin", "password": "a long password"}
    assert client.post("/login/", right).status_code == 429
    assert client.post("/login/", right, REMOTE_ADDR="10.0.0.9").status_code == 302


def test_the_newest_requests_are_shown_to_who_may_see_them(site: Client, node: Node, operator: User) -> None:
    key, _secret = ApiKey.make("first", operator)
    asked = {"at": timezone.now(), "endpoint": "POST /v1/chat/completions", "model": "qwen", "seconds": 0.5}
    for number in range(9):
        RequestLog.objects.create(request_id=f"req_{number}", key=key, status=200, **asked)
    page = site.get("/").content.decode()
    assert re.findall(r"/requests/(req_\d)/", page) == ["req_8", "req_7", "req_6", "req_5", "req_4"]
    other = Client()
    other.force_login(User.objects.create_user("other"))
    assert "No request has come yet." in text(other.get("/").content)
