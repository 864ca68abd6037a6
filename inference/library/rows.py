"""What the Models page shows, read with a number of queries that does not grow with the models."""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from asgiref.sync import async_to_sync
from django.db.models import Sum
from django.http import Http404

from demo_models.shipped import is_demo
from inference.catalog import ENGINES, Catalog
from inference.client import Event
from inference.models import ModelFolder, ModelSettings
from inference.pool import engine_states
from inference.room import Need, need_of
from memory.models import Node

PAGE_LENGTH = 25
SKIPPED = "skipped"
Type = ModelFolder.Type


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether its weights and a short prompt would get a lease on a node now. `need` and `free` are bytes."""

    verdict: str  # fits, waits, never
    node: str
    need: int
    free: int
    most: int

    @classmethod
    def of(cls, folder: ModelFolder, node: Node, leased: int) -> Self:
        need = need_on(folder)
        free = max(0, node.ceiling_bytes - leased)
        verdict = "never" if need.least > node.largest_bytes else "fits" if need.least <= free else "waits"
        return cls(verdict, node.name, need.least, free, node.largest_bytes)


@dataclass(frozen=True, slots=True)
class Row:
    """A model by its name, or a folder that is not served."""

    folder: ModelFolder
    nodes: list[str]
    settings: ModelSettings
    state: Event
    fit: Fit | None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def type(self) -> str:
        return self.settings.type or self.folder.type

    @property
    def type_word(self) -> str:
        return str(Type(self.type).label)

    @property
    def served(self) -> bool:
        return bool(self.type)

    @property
    def loadable(self) -> bool:
        return self.type in ENGINES

    @property
    def demo(self) -> bool:
        return is_demo(Path(self.folder.path))

    @property
    def loading(self) -> dict[str, int] | None:
        return self.state.get("loading") or None

    @property
    def loaded(self) -> bool:
        return bool(self.state.get("loaded"))

    @property
    def requests(self) -> int:
        return int(self.state.get("active_requests") or 0)

    @property
    def last_used(self) -> datetime | None:
        used = self.state.get("used_at")
        return datetime.fromtimestamp(used, UTC) if used else None


@dataclass(frozen=True, slots=True)
class Shelf:
    """One page of models, served ones first."""

    rows: list[Row]
    number: int
    pages: int
    counts: dict[str, int]  # by type, of all that was found; "skipped" for what is not served

    @property
    def newer(self) -> int:
        return self.number - 1

    @property
    def older(self) -> int:
        return self.number + 1 if self.number < self.pages else 0


def read_shelf(*, type_: str = "", search: str = "", page: int = 1) -> Shelf:
    """`type_` is a model type, or `skipped`. With one query more for each node on another socket, none per model."""
    entries = _entries()
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.kind] = counts.get(entry.kind, 0) + 1
    chosen = [entry for entry in entries if type_ in ("", entry.kind) and entry.matches(search)]
    start = (page - 1) * PAGE_LENGTH
    return Shelf(_rows(chosen[start : start + PAGE_LENGTH]), page, -(-len(chosen) // PAGE_LENGTH), counts)


def read_row(name: str) -> Row:
    """Raises Http404."""
    rows = _rows(_entries(name=name)[:1])
    if not rows:
        raise Http404
    return rows[0]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a list is chosen and ordered by: of a model, or of one folder that is not served. Of a thousand models this
    is read, and rows only of those that are shown."""

    name: str
    kind: str  # a model type, or "skipped"
    decided: ModelSettings
    path: str  # the first folder's
    keys: list[int]

    def matches(self, search: str) -> bool:
        return not search or search.casefold() in f"{self.name} {self.decided.alias} {self.path}".casefold()


def _entries(**chosen: str) -> list[Entry]:
    """Served ones first, by name. Served folders of a name are one, each one that is not served is for itself."""
    settings, undecided = {row.name: row for row in ModelSettings.objects.all()}, ModelSettings()
    found: dict[Any, Entry] = {}
    folders = ModelFolder.objects.filter(**chosen).order_by("name", "pk")
    for pk, name, path, type_ in folders.values_list("pk", "name", "path", "type"):
        decided = settings.get(name, undecided)
        kind = decided.type or type_
        entry = found.setdefault(name if kind else pk, Entry(name, kind or SKIPPED, decided, path, []))
        entry.keys.append(pk)
    return sorted(found.values(), key=lambda entry: (entry.kind == SKIPPED, entry.name))


def _rows(entries: list[Entry]) -> list[Row]:
    """An entry whose folders went in the meantime has no row."""
    keys = [pk for entry in entries for pk in entry.keys]
    folders = {one.pk: one for one in ModelFolder.objects.filter(pk__in=keys).select_related("node")}
    states = async_to_sync(engine_states)(Catalog.of(folders.values(), [entry.decided for entry in entries]))
    rooms = _rooms()
    held = ((entry, [folders[pk] for pk in entry.keys if pk in folders]) for entry in entries)
    return [_row(found, entry.decided, states, rooms) for entry, found in held if found]


def _row(folders: list[ModelFolder], decided: ModelSettings, states: Mapping[str, Event], rooms: "Rooms") -> Row:
    first = folders[0]
    fits = [Fit.of(one, *rooms[one.node_id]) for one in folders] if first.type in ENGINES else []
    best = min(fits, key=lambda fit: ("fits", "waits", "never").index(fit.verdict), default=None)
    return Row(first, [rooms[one.node_id][0].name for one in folders], decided, states.get(first.name, {}), best)


Rooms = Mapping[int, tuple[Node, int]]


def _rooms() -> Rooms:
    """Each node with the bytes that it has promised."""
    nodes: Iterable[Any] = Node.objects.annotate(leased=Sum("leases__bytes"))
    return {node.pk: (node, node.leased or 0) for node in nodes}


def need_on(folder: ModelFolder) -> Need:
    """What a load of it asks for; by its size alone where its files are another machine's."""
    path = Path(folder.path)
    if not path.is_dir():
        return Need(folder.resident_bytes, folder.resident_bytes)
    return _need(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4096)
def _need(path: Path, changed: int) -> Need:
    """The headers of its files are read once for each change of the folder."""
    return need_of(path)
