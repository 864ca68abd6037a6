"""What the pages show, read with a number of queries that does not grow with the rows."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from django.db.models import Case, Exists, OuterRef, When
from django.db.models.query import QuerySet

from inference.models import ModelFolder
from memory.models import Node
from videos import jobs
from videos.models import Artifact, VideoJob

PAGE_LENGTH = 12
SHOWN_FOLDERS = 12


def with_files(rows: QuerySet[VideoJob]) -> QuerySet[VideoJob]:
    """`has_video`, `has_thumbnail` and `has_input` say which files are still there."""
    here = Artifact.objects.filter(job=OuterRef("pk"), purged_at=None)
    return rows.annotate(
        has_video=Exists(here.filter(variant=Artifact.Variant.VIDEO)),
        has_thumbnail=Exists(here.filter(variant=Artifact.Variant.THUMBNAIL)),
        has_input=Exists(here.filter(variant=Artifact.Variant.INPUT)),
    )


@dataclass(frozen=True, slots=True)
class Card:
    """A job and its place in the queue, if it waits."""

    job: Any  # a VideoJob as `with_files` annotates it
    position: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of jobs, newest first."""

    cards: list[Card]
    number: int
    more: bool

    @classmethod
    def read(cls, number: int) -> Self:
        start = (number - 1) * PAGE_LENGTH
        rows = list(with_files(VideoJob.objects.order_by("-created_at", "-id"))[start : start + PAGE_LENGTH + 1])
        places = jobs.queue_positions(job.pk for job in rows if job.status == VideoJob.Status.QUEUED)
        cards = [Card(job, places.get(job.pk)) for job in rows[:PAGE_LENGTH]]
        return cls(cards, number, more=len(rows) > PAGE_LENGTH)

    @property
    def previous(self) -> int:
        return self.number - 1

    @property
    def next(self) -> int:
        return self.number + 1


@dataclass(slots=True)
class Promised:
    """A node's ceiling and the leases under it, bytes; and what its worker environments can do."""

    name: str
    ceiling: int
    runtimes: dict[str, Any]
    leases: list[dict[str, Any]] = field(default_factory=list)

    @property
    def promised(self) -> int:
        return sum(lease["bytes"] for lease in self.leases)

    @property
    def free(self) -> int:
        return max(0, self.ceiling - self.promised)


def promised_memory() -> list[Promised]:
    """Every node, also one without a lease, in one query."""
    names = ("kind", "holder", "bytes", "state")
    facts = ("name", "ceiling_bytes", "runtimes")
    rows = Node.objects.order_by("name", "leases__id").values(*facts, *(f"leases__{name}" for name in names))
    nodes: dict[str, Promised] = {}
    for row in rows:
        node = nodes.setdefault(row["name"], Promised(row["name"], row["ceiling_bytes"], row["runtimes"]))
        if row["leases__bytes"] is not None:
            node.leases.append({name: row[f"leases__{name}"] for name in names})
    return list(nodes.values())


def some_folders() -> list[ModelFolder]:
    """What was found: served first, then what was skipped and why. One more than are shown."""
    return list(ModelFolder.objects.order_by(Case(When(type="", then=1), default=0), "name", "pk")[: SHOWN_FOLDERS + 1])


def video_folders() -> list[ModelFolder]:
    """The video models, each once though several nodes may have it; real ones before demos."""
    found = ModelFolder.objects.filter(type=ModelFolder.Type.VIDEO).prefetch_related("node").order_by("-rank", "name")
    return list({folder.name: folder for folder in reversed(found)}.values())[::-1]


def tail(path: Path, size: int) -> str:
    """The last `size` bytes of a log as text, from a line's beginning."""
    with path.open("rb") as stream:
        whole = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, whole - size))
        text = stream.read().decode(errors="replace")
    return text if whole <= size else text.partition("\n")[2]
