"""What works on this machine and what does not; for `manage.py doctor` and the pages, in the reader's language."""

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from django import get_version
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fmlx_site.environment import Environment
from inference.discovery import scan
from inference.models import ModelFolder, searched_folders
from memory import gib, spelled
from memory.environments import PROBES, probe, runtime_python
from videos.options import DISK_FLOOR_BYTES


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    ok: bool
    message: str
    mend: str = ""


def examine(environment: Environment) -> Iterator[Finding]:
    yield Finding(_("machine"), True, f"{platform.platform()}, Python {sys.version.split()[0]}, Django {get_version()}")
    yield _disk(environment)
    yield _database()
    for runtime in sorted(PROBES):
        yield _runtime(environment, runtime)
    yield from _models()


def _disk(environment: Environment) -> Finding:
    free = shutil.disk_usage(environment.home).free
    ok = free > DISK_FLOOR_BYTES.value
    text = _("%(free)s free in %(home)s; %(kept)s are kept.")
    figures = {"free": gib(free), "home": environment.home, "kept": gib(DISK_FLOOR_BYTES.value)}
    return Finding(_("disk"), ok, text % figures)


def _database() -> Finding:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        text = _("%(database)s does not answer: %(error)s")
        return Finding(_("database"), False, text % {"database": connection.vendor, "error": error})
    if missing:
        text = ngettext("%(count)d migration is not applied.", "%(count)d migrations are not applied.", len(missing))
        return Finding(_("database"), False, text % {"count": len(missing)}, "python manage.py migrate")
    return Finding(_("database"), True, _("%(database)s, up to date.") % {"database": connection.vendor})


def _runtime(environment: Environment, name: str) -> Finding:
    found = probe(runtime_python(environment.home, name), name)
    what = _("runtime %(name)s") % {"name": name}
    if not found.ok:
        return Finding(what, False, spelled(found.said) or found.problem, found.mend_command)
    versions = ", ".join(f"{package} {version}" for package, version in sorted(found.versions.items()))
    return Finding(what, True, versions)


def _models() -> Iterator[Finding]:
    found = scan(searched_folders())
    if not any(model.type for model in found):
        yield Finding(_("models"), False, _("No model was found."), "python manage.py makedemo")
    for model in found:
        what = _("model %(name)s") % {"name": model.name}
        word = ModelFolder.Type(model.type).label
        yield Finding(what, bool(model.type), spelled(model.skipped_said) or f"{word}, {model.path}")
