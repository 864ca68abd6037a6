"""What works on this machine and what does not; for `manage.py doctor` and the pages."""

import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from django import get_version
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from fmlx_site.environment import Environment
from inference.discovery import scan
from inference.models import searched_folders
from memory import gib
from memory.environments import PROBES, probe, runtime_python
from videos.options import DISK_FLOOR_BYTES


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    ok: bool
    message: str
    mend: str = ""


def examine(environment: Environment) -> Iterator[Finding]:
    yield Finding("machine", True, f"{platform.platform()}, Python {sys.version.split()[0]}, Django {get_version()}")
    yield _disk(environment)
    yield _database()
    for runtime in sorted(PROBES):
        yield _runtime(environment, runtime)
    yield from _models()


def _disk(environment: Environment) -> Finding:
    free = shutil.disk_usage(environment.home).free
    ok = free > DISK_FLOOR_BYTES.value
    return Finding("disk", ok, f"{gib(free)} free in {environment.home}; {gib(DISK_FLOOR_BYTES.value)} are kept.")


def _database() -> Finding:
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return Finding("database", False, f"{connection.vendor} does not answer: {error}")
    if missing:
        return Finding("database", False, f"{len(missing)} migrations are not applied.", "python manage.py migrate")
    return Finding("database", True, f"{connection.vendor}, up to date.")


def _runtime(environment: Environment, name: str) -> Finding:
    found = probe(runtime_python(environment.home, name), name)
    if not found.ok:
        return Finding(f"runtime {name}", False, found.problem, found.mend_command)
    versions = ", ".join(f"{package} {version}" for package, version in sorted(found.versions.items()))
    return Finding(f"runtime {name}", True, versions)


def _models() -> Iterator[Finding]:
    found = scan(searched_folders())
    if not any(model.type for model in found):
        yield Finding("models", False, "No model was found.", "python manage.py makedemo")
    for model in found:
        yield Finding(f"model {model.name}", bool(model.type), model.skipped_because or f"{model.type}, {model.path}")
