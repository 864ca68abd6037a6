"""Configuration mistakes, reported all at once by `manage.py check` and before every start."""

import ipaddress
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004 - Django's own name

PRIVATE = 0o700
MIN_SECRET = 16  # characters; at 5 bits each, beyond what can be tried over a network


@register
def check_environment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Variables that could not be understood: a default in their place may be the opposite of what was meant."""
    return [Error(problem, id="fmlx.E001") for problem in settings.FMLX_PROBLEMS]


@register
def check_channel_layer(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    processes = settings.FMLX.site_processes
    if settings.FMLX.redis_url or processes == 1:
        return []
    return [
        Error(
            f"FMLX_SITE_PROCESSES is {processes}, and without REDIS_URL live events stay in one of them.",
            hint="Set REDIS_URL, for example to redis://127.0.0.1:6379/0, or run one site process.",
            id="fmlx.E002",
        )
    ]


@register
def check_database(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    processes = settings.FMLX.site_processes
    if processes == 1 or urlsplit(settings.FMLX.database_url).scheme not in ("", "sqlite"):
        return []
    return [
        Warning(
            f"FMLX_SITE_PROCESSES is {processes}, and SQLite lets one process write at a time.",
            hint="Set DATABASE_URL to a PostgreSQL database.",
            id="fmlx.W001",
        )
    ]


@register
def check_home(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    home = settings.FMLX.home
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & ~PRIVATE == 0:
        return []
    return [
        Warning(
            f"{home} holds keys, prompts and videos, and its mode {mode:04o} lets others of this machine in.",
            hint=f"chmod 700 {home}",
            id="fmlx.W002",
        )
    ]


@register
def check_assets(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    missing = [str(folder) for folder in map(_folder, settings.STATICFILES_DIRS) if not folder.is_dir()]
    if not missing:
        return []
    return [
        Warning(
            f"The pages' JavaScript is not installed: there is no {', no '.join(missing)}.",
            hint="make setup",
            id="fmlx.W003",
        )
    ]


@register
def check_address(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    host, allowed = settings.FMLX.host, settings.ALLOWED_HOSTS
    if _is_loopback(host) or any(not _is_loopback(name.strip("[]")) for name in allowed):
        return []
    return [
        Warning(
            f"FMLX_HOST is {host}, and FMLX_ALLOWED_HOSTS names only this machine: others will be answered 400.",
            hint="Add the name or address that others use for this machine to FMLX_ALLOWED_HOSTS.",
            id="fmlx.W004",
        )
    ]


@register
def check_credentials(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    weak = [
        f"{name} has {len(value)} characters"
        for name, value in (
            ("FMLX_ADMIN_PASSWORD", settings.FMLX.admin_password),
            ("FMLX_API_KEY", settings.FMLX.api_key),
        )
        if value and len(value) < MIN_SECRET
    ]
    if not weak or _is_loopback(settings.FMLX.host):
        return []
    return [
        Warning(
            f"FMLX_HOST is {settings.FMLX.host}, which others can reach, and {' and '.join(weak)}.",
            hint=f"Use at least {MIN_SECRET}, or leave them unset: fmlx then makes strong ones.",
            id="fmlx.W005",
        )
    ]


@register
def check_model_dirs(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"FMLX_MODEL_DIRS names {folder}, and there is no such folder.",
            hint="Mend the path, or connect the disk it is on.",
            id="fmlx.W006",
        )
        for folder in settings.FMLX.model_dirs
        if not folder.is_dir()
    ]


def _folder(entry: str | Path | tuple[str, str | Path]) -> Path:
    return Path(entry[1] if isinstance(entry, tuple) else entry)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
