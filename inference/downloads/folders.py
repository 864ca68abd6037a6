"""Where downloads are on a node's disk: each in a hidden folder while it comes, and then at once where discovery looks.

`models/.downloading/owner--name--digest/` has `model`, which moves to `models/owner/name` when it is whole; what is
found there is called `owner/name`, as at the hub.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from inference.discovery import MARKERS
from inference.downloads.models import Download
from inference.downloads.rows import KEPT

DIGITS = 8


def target_of(row: Download) -> Path:
    folder: Path = settings.FMLX.home / "models" / row.repository
    return folder


def partial_of(row: Download) -> Path:
    digest = hashlib.sha256(row.revision.encode()).hexdigest()[:DIGITS]
    return _partials() / f"{row.repository.replace('/', '--')}--{digest}"


def is_taken(row: Download) -> bool:
    """Whether there is something where it would go, or where nobody would look for it."""
    target = target_of(row)
    return target.exists() or any((target.parent / marker).is_file() for marker in MARKERS)


def is_settled(row: Download) -> bool:
    """It was moved already, by a node that ended before it could say so."""
    partial = partial_of(row)
    return (partial / "commit").is_file() and not (partial / "model").exists() and target_of(row).is_dir()


def settle(row: Download) -> None:
    """Move what came to where it is found. Raises OSError."""
    target = target_of(row)
    target.parent.mkdir(parents=True, exist_ok=True)
    (partial_of(row) / "model").rename(target)
    handle = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def strays() -> list[Path]:
    """What came of downloads that were cancelled, removed or completed."""
    folders = list(_partials().iterdir()) if _partials().is_dir() else []
    kept = {partial_of(row) for row in Download.objects.filter(state__in=KEPT)} if folders else set()
    return [folder for folder in folders if folder not in kept]


def discard(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _partials() -> Path:
    folder: Path = settings.FMLX.home / "models" / ".downloading"
    return folder
