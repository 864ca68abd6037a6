import httpx
import pytest
from django.conf import settings

from fmlx_site.asgi import application


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory):
    """A file, not memory: the application's threads each open it, as they do in production."""
    if "sqlite3" in settings.DATABASES["default"]["ENGINE"]:
        path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        settings.DATABASES["default"].setdefault("TEST", {})["NAME"] = str(path)


@pytest.fixture
async def client(transactional_db):
    """A client of the whole ASGI application, without a socket."""
    transport = httpx.ASGITransport(app=application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as session:
        yield session
