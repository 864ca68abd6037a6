"""Configuration: what each variable becomes, and what is said about one that cannot be used."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fmlx_site.environment import Environment, read_environment
from tests.early import ROOT, without_configuration

UNDERSTOOD = [
    ("FMLX_PORT", "9000", "port", 9000),
    ("FMLX_HOST", "0.0.0.0", "host", "0.0.0.0"),  # noqa: S104
    ("FMLX_HOME", "/srv/fmlx", "home", Path("/srv/fmlx")),
    ("FMLX_HOME", "~/elsewhere", "home", Path.home() / "elsewhere"),
    ("FMLX_MODEL_DIRS", "/a:~/b:", "model_dirs", [Path("/a"), Path.home() / "b"]),
    ("FMLX_MODEL_DIRS", "", "model_dirs", []),
    ("FMLX_LOG_LEVEL", "DEBUG", "log_level", "DEBUG"),
    ("FMLX_LOG_LEVEL", "", "log_level", "INFO"),
    ("FMLX_SITE_PROCESSES", "4", "site_processes", 4),
    ("FMLX_MEMORY_RESERVE_BYTES", "0", "memory_reserve_bytes", 0),
    ("FMLX_VIDEO_KEEP_SECONDS", "0.5", "video_keep_seconds", 0.5),
    ("DATABASE_URL", "postgres://u@h/d", "database_url", "postgres://u@h/d"),
    ("REDIS_URL", "redis://h:6379/0", "redis_url", "redis://h:6379/0"),
]

UNUSABLE = [
    ("FMLX_PORT", "http", "port", 8000),
    ("FMLX_PORT", "0", "port", 8000),
    ("FMLX_PORT", "65536", "port", 8000),
    ("FMLX_LOG_LEVEL", "LOUD", "log_level", "INFO"),
    ("FMLX_MEMORY_TIER", "reckless", "memory_tier", "balanced"),
    ("FMLX_SITE_PROCESSES", "0", "site_processes", 1),
    ("FMLX_VIDEO_TIMEOUT_SECONDS", "nan", "video_timeout_seconds", 14400.0),
    ("FMLX_VIDEO_ATTEMPTS", "2.5", "video_attempts", 3),
]


@pytest.mark.parametrize(("variable", "text", "field", "value"), UNDERSTOOD)
def test_a_variable_is_understood(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, value: Any
) -> None:
    monkeypatch.setenv(variable, text)
    environment, problems = read_environment()
    assert problems == []
    assert getattr(environment, field) == value


@pytest.mark.parametrize(("variable", "text", "field", "default"), UNUSABLE)
def test_an_unusable_variable_is_named_and_its_default_is_used(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, field: str, default: Any
) -> None:
    monkeypatch.setenv(variable, text)
    environment, problems = read_environment()
    assert len(problems) == 1
    assert problems[0].startswith(f"{variable}={text!r} is not usable: ")
    assert getattr(environment, field) == default


def test_all_mistakes_are_told_at_once_and_what_is_right_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMLX_PORT", "http")
    monkeypatch.setenv("FMLX_VIDEO_WORKERS", "none")
    monkeypatch.setenv("FMLX_HOST", "10.0.0.5")
    environment, problems = read_environment()
    assert len(problems) == 2
    assert (environment.host, environment.port, environment.video_workers) == ("10.0.0.5", 8000, 1)


def test_the_houses_own_models_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMLX_HOME", "/srv/fmlx")
    monkeypatch.setenv("FMLX_MODEL_DIRS", "/disk/models")
    assert Environment().models == [Path("/srv/fmlx/models"), Path("/disk/models")]


def test_a_command_refuses_to_start_on_a_mistake_and_says_which(tmp_path: Path) -> None:
    env = {**without_configuration(), "FMLX_HOME": str(tmp_path), "FMLX_PORT": "http"}
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "FMLX_PORT='http' is not usable" in done.stderr


def test_a_new_home_is_closed_to_others_and_its_key_stays(tmp_path: Path) -> None:
    env = {**without_configuration(), "FMLX_HOME": str(tmp_path / "new" / "home")}
    ask = [sys.executable, "-c", "from fmlx_site import settings; print(settings.SECRET_KEY)"]
    first, second = (subprocess.check_output(ask, cwd=ROOT, env=env) for _ in range(2))
    assert first == second
    assert len(first.strip()) >= 50
    assert (tmp_path / "new" / "home").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "new" / "home" / "secret_key").stat().st_mode & 0o777 == 0o600
