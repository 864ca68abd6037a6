"""What the System page says of this machine: versions, nodes, and what makes it quicker or does not."""

import importlib.util
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from django import get_version
from django.conf import settings
from django.db import connection
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from memory.models import Node

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Optimisation:
    """Something that is on or off, and why."""

    name: Text
    on: bool
    why: Text


def versions() -> list[tuple[Text, str]]:
    return [
        (_("Operating system"), platform.platform()),
        (_("Processor"), platform.machine()),
        ("Python", sys.version.split()[0]),
        ("Django", get_version()),
        (_("Database"), connection.vendor),
        (_("Live events"), "Redis" if settings.FMLX.redis_url else _("within this process")),
        (_("Folder of this server"), str(settings.FMLX.home)),
    ]


def optimisations(nodes: list[Node]) -> Iterator[Optimisation]:
    there = importlib.util.find_spec("httptools") is not None
    why = _("%(module)s is installed.") if there else _("%(module)s is not installed.")
    yield Optimisation(_("A quicker HTTP parser"), there, why % {"module": "httptools"})
    for node in nodes:
        yield _accelerator(node)
    shared = bool(settings.FMLX.redis_url) and connection.vendor == "postgresql"
    why = (
        _("PostgreSQL and Redis are configured.")
        if shared
        else _("It needs PostgreSQL (DATABASE_URL) and Redis (REDIS_URL).")
    )
    yield Optimisation(_("Several site processes, several machines"), shared, why)


def _accelerator(node: Node) -> Optimisation:
    name = _("A GPU computes on %(node)s") % {"node": node.name}
    if node.backend == "cpu":
        return Optimisation(name, False, _("None was found, so models compute on the CPU in float32."))
    return Optimisation(name, True, _("Models compute on %(backend)s.") % {"backend": node.backend})
