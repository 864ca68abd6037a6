"""Guards of memory that were made weaker than their defaults: said by `manage.py check` and before every start."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Tags, Warning, register  # noqa: A004 - Django's own name
from django.db import OperationalError, ProgrammingError

from fmlx_site.option_store import load
from fmlx_site.options import OPTIONS
from memory.options import weaker_than_default


@register
def check_environment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """By environment variables, which can be seen without the database."""
    return [_warning(name) for name in weaker_than_default() if OPTIONS[name].fixed]


@register(Tags.database)
def check_stored(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """On the Settings page: `manage.py check --database default`."""
    if not databases:
        return []
    try:
        load()
    except (OperationalError, ProgrammingError):  # before the first `migrate`, which runs this check too
        return []
    return [_warning(name) for name in weaker_than_default() if not OPTIONS[name].fixed]


def _warning(name: str) -> Warning:
    option = OPTIONS[name]
    where = f"the environment variable {option.variable}" if option.fixed else "the Settings page"
    text = f"{name} is {option.value}, which guards the machine less than the default of {option.default}."
    return Warning(text, hint=f"Set it on {where}." if not option.fixed else f"Change {where}.", id="fmlx.W010")
