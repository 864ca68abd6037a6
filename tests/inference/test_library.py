"""The Models page as a browser without JavaScript sees it, its changes, and its socket."""

import json
import re
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client

from demo_models import shipped
from fmlx_site.asgi import application
from fmlx_site.live import announce
from fmlx_site.models import Change
from inference.catalog import _read
from inference.errors import ModelNotFound
from inference.models import ModelFolder, ModelPlace, ModelSettings, searched_folders
from inference.shelf import GROUP
from memory.models import Node

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
GIB = 2**30


@pytest.fixture
def site(transactional_db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("admin", password="a long password"))
    return client


@pytest.fixture
def node(transactional_db: None) -> Node:
    return Node.objects.create(name="here", boot_id="1", pid=1, ceiling_bytes=8 * GIB, largest_bytes=16 * GIB)


def folder(node: Node, name: str, gib: float = 1, **fields) -> ModelFolder:
    size = int(gib * GIB)
    given = {"path": f"/models/{name}", "type": "chat", "size_bytes": size, "resident_bytes": size}
    return ModelFolder.objects.create(node=node, name=name, **{**given, **fields})


def text(html: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.decode())).replace("\xa0", " ")


def test_every_model_is_shown_with_whether_it_fits(site: Client, node: Node) -> None:
    folder(node, "org/small", 2)
    folder(node, "large", 12)
    folder(node, "huge", 40)
    folder(node, "broken", type="", skipped_because="config.json is empty.")
    shown = text(site.get("/models/").content)
    assert re.search(r"org/small .*? fits now needs 2.0 GiB, 8.0 GiB free not loaded", shown)
    assert re.search(r"large .*? fits when others end", shown)
    assert re.search(r"huge .*? too large needs 40.0 GiB, and 16.0 GiB is the most", shown)
    assert re.search(r"broken config.json is empty. .*? not served", shown)


def test_a_profile_is_named_used_by_default_and_removed(site: Client, node: Node) -> None:
    folder(node, "qwen")
    page = "/models/profile/qwen/"
    assert "A profile sets something" in text(site.post(page, {"profile-name": "exact"}).content)
    assert site.post(page, {"profile-name": "exact", "profile-temperature": "0.1"}).status_code == 302
    site.post(page, {"profile-name": "wild", "profile-temperature": "1.5", "profile-top_k": "40"})
    ModelSettings.objects.filter(name="qwen").update(sampling={"temperature": 0.7, "top_p": 0.9})
    assert _read().find("qwen").sampling == {"temperature": 0.7, "top_p": 0.9}
    assert _read().find("qwen:wild").sampling == {"temperature": 1.5, "top_k": 40, "top_p": 0.9}
    with pytest.raises(ModelNotFound):
        _read().find("qwen:calm")
    site.post(page, {"title": "exact", "use": "1"})
    assert _read().find("qwen").sampling["temperature"] == 0.1
    shown = text(site.get("/models/of/qwen/").content)
    assert "qwen:exact used by default" in shown
    assert 'value="1.5"' in site.get("/models/of/qwen/?profile=wild").content.decode()
    site.post(page, {"title": "exact", "remove": "1"})
    kept = ModelSettings.objects.get(name="qwen")
    assert (set(kept.profiles), kept.profile) == ({"wild"}, "")
    assert Change.objects.filter(what="model", name="qwen").count() == 4


def test_where_nobody_says_anything_the_server_s_own_sampling_holds(site: Client, node: Node) -> None:
    folder(node, "qwen")
    site.post("/settings/sampling/", {"sampling_temperature": "0.3", "sampling_max_tokens": "99"})
    assert _read().find("qwen").sampling == {"temperature": 0.3, "max_tokens": 99}
    ModelSettings.objects.create(name="qwen", sampling={"temperature": 0.9})
    assert _read().find("qwen").sampling == {"temperature": 0.9, "max_tokens": 99}


def test_models_are_found_by_type_and_name(site: Client, node: Node) -> None:
    folder(node, "qwen")
    folder(node, "wan", type="video")
    folder(node, "broken", type="", skipped_because="no")
    names = lambda **asked: re.findall(r'data-model="([^"]+)"', site.get("/models/", asked).content.decode())  # noqa: E731
    assert names() == ["qwen", "wan", "broken"]
    assert names(type="video") == ["wan"]
    assert names(type="skipped") == ["broken"]
    assert names(q="WE") == ["qwen"]
    assert "No model matches." in text(site.get("/models/", {"q": "nothing"}).content)


def test_settings_are_kept_and_told_in_the_trail(site: Client, node: Node) -> None:
    folder(node, "org/qwen", context_window=4096)
    ModelSettings.objects.create(name="old", default=True)
    wanted = {"alias": "best", "context_limit": "2048", "idle_minutes": "1.5", "default": "on", "temperature": "0.5"}
    answer = site.post("/models/of/org/qwen/", wanted, follow=True)
    assert answer.redirect_chain == [("/models/of/org/qwen/", 302)]
    kept = ModelSettings.objects.get(name="org/qwen")
    assert (kept.alias, kept.context_limit, kept.idle_seconds, kept.default) == ("best", 2048, 90, True)
    assert kept.sampling == {"temperature": 0.5}
    assert not ModelSettings.objects.get(name="old").default
    change = Change.objects.get(name="org/qwen")
    assert (change.new or {})["sampling"] == {"temperature": 0.5}
    assert (change.old or {})["alias"] == ""
    assert 'value="1.5"' in answer.content.decode()
    site.post("/models/of/org/qwen/", wanted)
    assert Change.objects.filter(name="org/qwen").count() == 1


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"alias": "other"}, "Another model is called that already."),
        ({"context_limit": "5000"}, "The model itself takes 4096 tokens at most."),
        ({"temperature": "3"}, "less than or equal to 2"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(site: Client, node: Node, wanted: dict[str, str], said: str) -> None:
    folder(node, "qwen", context_window=4096)
    folder(node, "other")
    answer = site.post("/models/of/qwen/", wanted)
    assert answer.status_code == 400
    assert said in text(answer.content)
    assert not ModelSettings.objects.exists()


def test_pinning_is_one_press_and_so_is_unpinning(site: Client, node: Node) -> None:
    folder(node, "qwen")
    for pinned in (True, False):
        site.post("/models/pin/qwen/")
        assert ModelSettings.objects.get().pinned is pinned


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", "does not answer on this machine"),
        ("ru", "не отвечает на этой машине"),
        ("zh-hans", "在此机器上没有响应"),
    ],
)
def test_a_model_whose_node_is_away_says_so_when_it_is_loaded(
    site: Client, node: Node, language: str, said: str
) -> None:
    folder(node, "qwen")
    reader = {"Accept-Language": language}
    assert said in text(site.post("/models/load/qwen/", follow=True, headers=reader).content)


@pytest.fixture
def demo(node: Node) -> ModelFolder:
    path = settings.FMLX.home / "models" / "demo-video"
    path.parent.mkdir(exist_ok=True)
    shipped.install("demo-video", path)
    return folder(node, "demo-video", path=str(path), type="video")


def test_a_demo_is_removed_for_good_after_a_question(site: Client, demo: ModelFolder) -> None:
    path = Path(demo.path)
    assert "demo" in text(site.get("/models/").content)
    assert "deleted from the disk for good" in text(site.get("/models/remove/demo-video/").content)
    assert path.exists()
    site.post("/models/remove/demo-video/")
    assert not path.exists()
    assert shipped.kept_away(path.parent) == {"demo-video"}
    assert not ModelFolder.objects.exists()
    assert Change.objects.get().name == "demo-video"
    shipped.let_back(path.parent)


def test_a_model_that_is_no_demo_is_never_removed(site: Client, node: Node, tmp_path: Path) -> None:
    real = tmp_path / "demo-video"
    real.mkdir()
    (real / "config.json").write_text("{}")
    folder(node, "demo-video", path=str(real))
    assert "Remove" not in text(site.get("/models/").content)
    assert "is not one of the demo models" in text(site.post("/models/remove/demo-video/", follow=True).content)
    assert real.exists()


def test_a_folder_is_searched_from_then_on_and_not_any_more_when_dropped(site: Client, tmp_path: Path) -> None:
    site.post("/models/folders/", {"path": f"{tmp_path}/../{tmp_path.name}"})
    assert searched_folders()[-1] == tmp_path
    assert "is searched already" in text(site.post("/models/folders/", {"path": str(tmp_path)}).content)
    place = ModelPlace.objects.get()
    assert "Search this folder no more?" in text(site.get(f"/models/folders/{place.pk}/drop/").content)
    site.post(f"/models/folders/{place.pk}/drop/")
    assert tmp_path not in searched_folders()
    assert Change.objects.filter(name=str(tmp_path)).count() == 2


@pytest.mark.parametrize(
    ("path", "said"),
    [("models", "the whole path"), ("/no/such/folder", "There is no folder"), ("/", "too many to look through")],
)
def test_a_folder_that_cannot_be_searched_is_refused(site: Client, path: str, said: str) -> None:
    answer = site.post("/models/folders/", {"path": path})
    assert answer.status_code == 400
    assert said in text(answer.content)
    assert not ModelPlace.objects.exists()


def test_who_may_only_look_may_change_nothing(node: Node) -> None:
    folder(node, "qwen")
    user = User.objects.create_user("viewer", password="a long password")
    user.user_permissions.add(Permission.objects.get(codename="view_modelfolder"))
    client = Client()
    client.force_login(user)
    html = client.get("/models/").content.decode()
    assert not re.search("<button[^>]*data-action", html)
    for what in ("load", "unload", "pin", "default", "remove", "of"):
        assert client.post(f"/models/{what}/qwen/").status_code == 403, what
    assert client.post("/models/folders/").status_code == client.post("/models/rescan/").status_code == 403


async def test_the_socket_tells_of_engines_and_of_another_list(node: Node) -> None:
    user = await sync_to_async(User.objects.create_superuser)("admin", password="a long password")
    client = Client()
    await sync_to_async(client.force_login)(user)
    cookie = f"fmlx_session={client.cookies['fmlx_session'].value}"
    headers = [(b"cookie", cookie.encode()), (b"origin", b"http://localhost"), (b"host", b"localhost")]
    socket = WebsocketCommunicator(application, "/ws/models/", headers=headers)
    assert (await socket.connect(timeout=5))[0]
    assert await socket.receive_json_from(timeout=5) == {"type": "snapshot", "engines": {}}
    engine = {"id": "qwen", "loaded": False, "loading": {"done": 1, "total": 2}, "active_requests": 0}
    for moment in (1, 2):  # the same again, but for the moment of its last use
        await announce("engines", "engine.changed", engine={**engine, "used_at": moment})
    await announce(GROUP, "models.changed")
    first, second = [await socket.receive_json_from(timeout=5) for _ in range(2)]
    assert json.loads(json.dumps(first))["engine"]["loading"] == {"done": 1, "total": 2}
    assert second == {"type": "list"}
    await socket.disconnect()


async def test_the_socket_is_closed_for_who_may_not_see_models(transactional_db: None) -> None:
    socket = WebsocketCommunicator(application, "/ws/models/", headers=[(b"origin", b"http://localhost")])
    await socket.connect(timeout=5)
    assert (await socket.receive_output(timeout=5)) == {"type": "websocket.close", "code": 4403}
