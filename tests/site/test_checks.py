"""The system checks: each finds its mistake, says what to do, and is silent when all is well."""

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from pytest_django import Settings

from fmlx_site.environment import Environment


def found() -> list[CheckMessage]:
    return [message for message in run_checks() if str(message.id).startswith("fmlx.")]


@pytest.fixture(autouse=True)
def sound(settings: Settings, tmp_path: Path) -> None:
    """A configuration without a mistake, to put one in."""
    settings.FMLX = environment(tmp_path)
    settings.FMLX_PROBLEMS = []
    settings.ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
    settings.STATICFILES_DIRS = [tmp_path, ("vendor/htmx", tmp_path)]


def environment(folder: Path, **values: Any) -> Environment:
    home = folder / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    return Environment(home=home, **values)


def test_a_sound_configuration_has_nothing_to_say() -> None:
    assert found() == []


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("fmlx.E002", {"site_processes": 2, "database_url": "postgres://u@h/d"}, "REDIS_URL"),
    ("fmlx.W004", {"host": "0.0.0.0"}, "FMLX_ALLOWED_HOSTS"),  # noqa: S104
    ("fmlx.W005", {"host": "10.0.0.5", "api_key": "short"}, "FMLX_API_KEY has 5 characters"),
    ("fmlx.W005", {"host": "::", "admin_password": "admin"}, "FMLX_ADMIN_PASSWORD has 5 characters"),
    ("fmlx.W006", {"model_dirs": ["/no/such/folder"]}, "/no/such/folder"),
]


@pytest.mark.parametrize(("identity", "values", "named"), CASES)
def test_a_mistake_is_found_and_named(
    settings: Settings, tmp_path: Path, identity: str, values: dict[str, Any], named: str
) -> None:
    settings.FMLX = environment(tmp_path, **values)
    message = next(message for message in found() if message.id == identity)
    assert named in f"{message.msg} {message.hint}"
    assert message.hint


def test_several_processes_with_redis_and_postgres_are_fine(settings: Settings, tmp_path: Path) -> None:
    servers = {"redis_url": "redis://127.0.0.1/0", "database_url": "postgres://u@h/d"}
    settings.FMLX = environment(tmp_path, site_processes=4, **servers)
    assert found() == []


def test_several_processes_on_sqlite_are_warned_of(settings: Settings, tmp_path: Path) -> None:
    settings.FMLX = environment(tmp_path, site_processes=4, redis_url="redis://127.0.0.1/0")
    assert [message.id for message in found()] == ["fmlx.W001"]


def test_strong_secrets_may_face_the_network(settings: Settings, tmp_path: Path) -> None:
    secret = "correct-horse-battery"
    settings.FMLX = environment(tmp_path, host="10.0.0.5", api_key=secret, admin_password=secret)
    settings.ALLOWED_HOSTS = ["127.0.0.1", "studio.local"]
    assert found() == []


def test_a_variable_that_was_not_understood_is_an_error(settings: Settings) -> None:
    settings.FMLX_PROBLEMS = ["FMLX_PORT='http' is not usable: a number is needed."]
    assert [(message.id, message.msg) for message in found()] == [("fmlx.E001", settings.FMLX_PROBLEMS[0])]


def test_a_home_that_others_can_read_is_warned_of(settings: Settings) -> None:
    settings.FMLX.home.chmod(0o755)
    (message,) = found()
    assert (message.id, message.hint) == ("fmlx.W002", f"chmod 700 {settings.FMLX.home}")


def test_missing_assets_are_named_with_the_command_that_installs_them(settings: Settings, tmp_path: Path) -> None:
    settings.STATICFILES_DIRS = [tmp_path, ("vendor/htmx", tmp_path / "node_modules")]
    (message,) = found()
    assert (message.id, message.hint) == ("fmlx.W003", "make setup")
    assert str(tmp_path / "node_modules") in message.msg
