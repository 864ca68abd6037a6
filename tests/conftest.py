"""Fixtures for every test. What needs a server asks for `postgres` or `redis_url` by name."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import redis
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management.color import no_style
from django.db import connection, connections
from django.test import TransactionTestCase, override_settings
from django.utils import translation

from fmlx_site.asgi import application
from fmlx_site.options import STORED
from inference.catalog import recent_catalog
from inference.keys.ring import ring
from inference.request_log.writer import writer
from tests import servers
from tests.early import ROOT, make_home
from tests.house import copy_house, furnish
from tests.services import Missing, execute, postgres_server, redis_server
from tests.undisturbed import Undisturbed

# Who asks for one of these, itself or through another fixture, starts a server, a worker or an engine.
STARTERS = {"template", "spec", "doomed", "runtime_home", "runtime_python", "_postgres_server", "_redis_server"}
KEPT_TABLES = {"django_content_type", "auth_permission"}
BROWSER = ROOT / "tests" / "e2e"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The rule of the suite's two stages: `integration` is who starts something, or needs a worker environment."""
    for item in items:
        starts = STARTERS & set(getattr(item, "fixturenames", ())) or item.path.is_relative_to(BROWSER)
        if starts or item.get_closest_marker("runtime"):
            item.add_marker(pytest.mark.integration)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """And it is kept: a unit test that starts a server all the same fails."""
    servers.may_start = item.get_closest_marker("integration") is not None


@pytest.fixture(autouse=True, scope="session")
def _quick_passwords() -> Iterator[None]:
    """Django's own hash takes 0.3 s on purpose, and half the tests make a user. Servers that tests start keep it."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(autouse=True, scope="session")
def _quickly_emptied() -> Iterator[None]:
    """After each test Django makes content types and permissions anew, for 70 ms. Those are left in their tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: _empty())
        yield


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """The language that one test chose is not the next one's."""
    yield
    translation.deactivate()


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """SQLite in a file, as in production: threads have connections of their own, and WAL and locks are real.

    Only nobody waits for the disk: no test of this process pulls the plug.
    """
    if settings.DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
        settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(settings.FMLX.home / "test.sqlite3")
        settings.DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """The thread that async tests reach the database through keeps its connection, and PostgreSQL then its database."""
    yield
    asyncio.run(sync_to_async(connections.close_all)())


@pytest.fixture(autouse=True)
def _options_as_declared() -> Iterator[None]:
    """What a test stored goes with its database."""
    yield
    ring.forget()
    recent_catalog.forget()
    writer.forget()
    STORED.now, STORED.at_start, STORED.loaded = {}, {}, False


@pytest.fixture
async def client(transactional_db: None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the whole ASGI application, without a socket."""
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as session:
        yield session


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A new, empty FMLX_HOME for processes that a test starts."""
    return make_home(tmp_path / "home")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(make_home(tmp_path_factory.mktemp("template") / "home"))


@pytest.fixture(scope="session")
def undisturbed(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    worker = Undisturbed(template, tmp_path_factory.mktemp("undisturbed"))
    yield worker
    worker.close()


@pytest.fixture
def house(template: Path, tmp_path: Path) -> Path:
    """A furnished home that nobody lives in yet."""
    return copy_house(template, tmp_path / "house")


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[str]:
    if url := os.environ.get("FMLX_TEST_DATABASE_URL"):
        yield url
        return
    try:
        with postgres_server() as url:
            yield url
    except Missing as missing:
        _absent(missing)


@pytest.fixture
def postgres(_postgres_server: str) -> Iterator[str]:
    """The DATABASE_URL of a new, empty PostgreSQL database."""
    server, name = _postgres_server.rpartition("/")[0], f"fmlx_{uuid.uuid4().hex[:12]}"
    execute(_postgres_server, f"CREATE DATABASE {name}")
    yield f"{server}/{name}"
    execute(_postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def _redis_server() -> Iterator[str]:
    if url := os.environ.get("FMLX_TEST_REDIS_URL"):
        yield url
        return
    try:
        with redis_server() as url:
            yield url
    except Missing as missing:
        _absent(missing)


@pytest.fixture
def redis_url(_redis_server: str) -> Iterator[str]:
    """The REDIS_URL of an empty Redis."""
    yield _redis_server
    with redis.Redis.from_url(_redis_server) as client:
        client.flushall()


def _empty() -> None:
    tables = set(connection.introspection.django_table_names(only_existing=True, include_views=False))
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), sorted(tables - KEPT_TABLES)))


def _absent(missing: Missing) -> None:
    """`make test` promises the servers; a developer without them is told what was left out."""
    if os.environ.get("FMLX_REQUIRE_SERVICES"):
        pytest.fail(str(missing))
    pytest.skip(str(missing))
