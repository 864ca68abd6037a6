"""The prefix cache on disk as operators see it: the API, the page, the command and the metrics say the same."""

import re
from collections.abc import Awaitable, Callable
from io import StringIO
from pathlib import Path

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from inference.catalog import Served
from inference.engine.cache.store import Store
from inference.models import ApiKey
from inference.pool import Pool
from tests.helpers import await_for
from tests.inference.cache.support import KIB, MODEL, OTHER, block, bytes_of_files, file_of
from tests.inference.scripted import Scripted

pytestmark = pytest.mark.django_db(transaction=True)
SAID = {
    "problem": None,
    "hot": {"blocks": 2, "bytes": 2048, "limit_bytes": 4096, "evicted": 1},
    "hit_hot_tokens": 512,
    "hit_ssd_tokens": 256,
    "missed": {"new": 200, "no_snapshot": 56},
    "skipped": {"queue_full": 3},
    "ssd": {"persisted": 9, "evicted": 4, "quarantined": 1, "bytes": 1},
}


@pytest.fixture
def kept(home: Path, settings: Settings) -> Path:
    """Three blocks of one model, and one of another."""
    home.mkdir(mode=0o700, exist_ok=True)
    with Store(settings.FMLX.cache) as store:
        for n in range(3):
            store.save(block(n), 10**9)
        store.save(block(1, model=OTHER, size=40 * KIB), 10**9)
    return settings.FMLX.cache


@pytest.fixture
def bare(home: Path) -> Path:
    home.mkdir(mode=0o700)
    return home


@pytest.fixture
def admin(transactional_db: None) -> User:
    return User.objects.create_superuser("admin", password="a long password")


@pytest.fixture
def site(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
async def api(client: httpx.AsyncClient, admin: User) -> httpx.AsyncClient:
    _, secret = await sync_to_async(ApiKey.make)("test", admin)
    client.headers["Authorization"] = f"Bearer {secret}"
    return client


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def text(html: bytes) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.decode())).replace("\xa0", " ")


async def test_the_api_says_what_each_model_takes_and_clears_one(api: httpx.AsyncClient, kept: Path) -> None:
    said = (await api.get("/v1/cache")).json()
    sizes = {model["id"]: (model["name"], model["entries"]) for model in said["models"]}
    assert sizes == {MODEL: ("demo", 3), OTHER: ("demo", 1)}
    assert said["entries"] == 4
    assert said["bytes"] == bytes_of_files(kept)
    assert said["limit_bytes"] <= said["quota_bytes"] == 20 * 10**9
    cleared = (await api.delete(f"/v1/cache?model={OTHER}")).json()
    assert cleared == {"object": "cache.cleared", "model": OTHER, "freed_bytes": cleared["freed_bytes"]}
    assert cleared["freed_bytes"] > 30 * KIB
    assert [model["id"] for model in (await api.get("/v1/cache")).json()["models"]] == [MODEL]
    await api.delete("/v1/cache")
    assert (await api.get("/v1/cache")).json()["entries"] == 0


async def test_a_name_clears_every_version_of_the_model(api: httpx.AsyncClient, kept: Path) -> None:
    assert (await api.delete("/v1/cache?model=demo")).status_code == 200
    assert (await api.get("/v1/cache")).json()["models"] == []


@pytest.mark.parametrize("name", ["nobody", "../..", "%00"])
async def test_a_model_that_is_not_there_is_not_cleared(api: httpx.AsyncClient, kept: Path, name: str) -> None:
    answer = await api.delete(f"/v1/cache?model={name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert (await api.get("/v1/cache")).json()["entries"] == 4


async def test_without_a_key_nothing_is_said(client: httpx.AsyncClient, home: Path) -> None:
    assert (await client.get("/v1/cache")).status_code == 401
    assert (await client.delete("/v1/cache")).status_code == 401


async def test_before_any_engine_ran_there_is_nothing_and_nothing_is_made(api: httpx.AsyncClient, bare: Path) -> None:
    assert (await api.get("/v1/cache")).json()["entries"] == 0
    assert (await api.delete("/v1/cache")).json()["freed_bytes"] == 0
    assert names_in(bare) == set()


async def test_what_loaded_models_say_is_told_and_counted(
    api: httpx.AsyncClient,
    kept: Path,
    pool: Pool,
    scripted: Scripted,
    make_model: Callable[..., Awaitable[Served]],
) -> None:
    scripted.cache = SAID
    await pool.load(await make_model("a"))
    await await_for(lambda: pool.entries["a"].state()["cache"], what="the engine said so")
    assert (await api.get("/v1/cache")).json()["engines"] == {"a": SAID}
    families = text_string_to_metric_families((await api.get("/metrics")).text)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if sample.name.startswith("fmlx_cache")
    }
    assert found["fmlx_cache_entries", "demo"] == 4
    assert found["fmlx_cache_quota_bytes",] == 20 * 10**9
    assert found["fmlx_cache_hit_tokens_total", "a", "ssd"] == 256
    assert found["fmlx_cache_missed_tokens_total", "a", "no_snapshot"] == 56
    assert found["fmlx_cache_skipped_blocks_total", "a", "queue_full"] == 3
    assert found["fmlx_cache_disk_total", "a", "quarantined"] == 1
    assert ("fmlx_cache_disk_total", "a", "bytes") not in found


def test_the_page_shows_each_model_and_clears_one_after_asking(site: Client, kept: Path) -> None:
    shown = site.get("/cache/")
    assert "demo abababababab 3 " in text(shown.content)
    question = site.get(f"/cache/clear/?model={MODEL}")
    assert "Clear the cache?" in text(question.content)
    assert len(list(kept.glob("blocks/*/*/*"))) == 4, "asking clears nothing"
    done = site.post("/cache/clear/", {"model": MODEL}, follow=True)
    assert "The cache was cleared; 6" in text(done.content)
    assert "abababababab" not in text(done.content)
    assert "cdcdcdcdcdcd 1 " in text(done.content)
    site.post("/cache/clear/")
    assert "Nothing is kept yet." in text(site.get("/cache/").content)
    assert "Nothing of it is in the cache any more." in text(site.get("/cache/clear/", follow=True).content)


def test_who_may_only_look_cannot_clear(kept: Path, transactional_db: None) -> None:
    user = User.objects.create_user("viewer", password="a long password")
    client = Client()
    assert client.get("/cache/").status_code == 302
    client.force_login(user)
    assert client.get("/cache/").status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_modelsettings"))
    assert "Clear" not in text(client.get("/cache/").content)
    assert client.post("/cache/clear/").status_code == 403


@pytest.mark.parametrize("language", ["zh-hans", "ru"])
def test_the_page_is_in_the_languages_of_the_house(site: Client, kept: Path, language: str) -> None:
    page = site.get("/cache/", headers={"Accept-Language": language}).content
    shown = text(page[page.index(b"<main") : page.index(b"</main>")])
    words = re.sub(r"FMLX_CACHE_BYTES|fmlx|[MGK]iB|UTC|demo|[a-f\d]{12}", "", shown)
    assert re.findall(r"[A-Za-z]{3,}", words) == []


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("cache", *arguments, stdout=out)
    return out.getvalue().replace("\xa0", " ")


def test_the_command_shows_verifies_and_clears(kept: Path) -> None:
    assert "4 blocks take" in command("show")
    assert command("verify") == "All 4 files are as they were written.\n"
    file_of(kept, block(2)).write_bytes(b"rotten")
    with pytest.raises(CommandError, match="1 of 4 files were damaged"):
        command("verify")
    assert command("verify") == "All 3 files are as they were written.\n"
    with pytest.raises(CommandError, match="holds nothing of 'nobody'; it holds demo"):
        command("clear", "--model", "nobody")
    assert "free again" in command("clear")
    assert "0 blocks take" in command()
