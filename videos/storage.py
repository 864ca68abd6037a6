"""Where a job's files are: a working folder per attempt, the artifacts folder for what is kept."""

import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings

from videos import options
from videos.models import Artifact, VideoJob

STRAY_SECONDS = 600.0


def work_folder(node: str, job: VideoJob) -> Path:
    """A fresh folder for one attempt, on the same file system as the artifacts, so that keeping is a rename."""
    folder: Path = settings.FMLX.work / node / f"{job.pk}-{job.fence}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    return folder


def preview_of(job: VideoJob) -> Path | None:
    """Where the worker that has the job in hand leaves its newest preview; it goes with the attempt."""
    if job.status != VideoJob.Status.IN_PROGRESS or not job.preview_number or job.node is None:
        return None
    path: Path = settings.FMLX.work / job.node.name / f"{job.pk}-{job.fence}" / "preview.webp"
    return path


def generator_folder(node: str) -> Path:
    """Where a generator is while it has no job; in a job it is in the attempt's folder."""
    folder: Path = settings.FMLX.work / node
    return folder


def log_file(job: VideoJob) -> Path:
    folder: Path = settings.FMLX.logs / "workers"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{job.pk}-{job.fence}.log"


def keep(job: VideoJob, folder: Path, files: dict[str, dict[str, Any]]) -> list[Artifact]:
    """Move a finished attempt's files to the artifacts folder; the rows are returned, not saved.

    The name carries the fence, so files of two attempts never meet. Raises FileNotFoundError when one is missing.
    """
    home: Path = settings.FMLX.artifacts
    target = home / job.pk
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = []
    for variant, file in files.items():
        source = folder / Path(file["name"]).name
        path = target / f"{variant}-{job.fence}{source.suffix}"
        source.rename(path)
        kept.append(
            Artifact(
                job=job,
                variant=variant,
                path=str(path.relative_to(home)),
                bytes=path.stat().st_size,
                sha256=file["sha256"],
                media_type=file["media_type"],
            )
        )
    _sync(target)
    return kept


def unkeep(kept: Iterable[Artifact]) -> None:
    for artifact in kept:
        path_of(artifact).unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def path_of(artifact: Artifact) -> Path:
    path: Path = settings.FMLX.artifacts / artifact.path
    return path


def is_old(path: Path) -> bool:
    """Whether it was there for so long that whoever is writing its row would be done."""
    try:
        return path.stat().st_mtime < time.time() - STRAY_SECONDS
    except FileNotFoundError:
        return False


def discard(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def remove_job(job_id: str) -> None:
    """Everything on disk that belonged to a deleted job."""
    discard(settings.FMLX.artifacts / job_id)
    for log in (settings.FMLX.logs / "workers").glob(f"{job_id}-*.log"):
        log.unlink(missing_ok=True)


def remove_if_deleted(job_id: str) -> None:
    """A worker may have written after its job was deleted: take that away too."""
    if not VideoJob.objects.filter(pk=job_id).exists():
        remove_job(job_id)


def sweep(node: str) -> int:
    """At a node's start, when none of its workers lives: remove what lost attempts left. Returns how many folders.

    An artifact folder without a job's row is what a delete or a crash left behind; one with a row keeps only the files
    its artifacts name.
    """
    removed = _remove(_folders(settings.FMLX.work / node))
    for folder in _folders(settings.FMLX.artifacts):
        if not VideoJob.objects.filter(pk=folder.name).exists():
            removed += _remove([folder])
            continue
        # The state before the files: a job that another node finishes in between has its rows by then.
        if not VideoJob.objects.filter(pk=folder.name, status=VideoJob.Status.IN_PROGRESS).exists():
            named = {
                Path(path).name for path in Artifact.objects.filter(job=folder.name).values_list("path", flat=True)
            }
            for stray in (file for file in folder.iterdir() if file.name not in named):
                stray.unlink()
    return removed


def _folders(parent: Path) -> Iterable[Path]:
    return [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []


def _remove(folders: Iterable[Path]) -> int:
    folders = list(folders)
    for folder in folders:
        discard(folder)
    return len(folders)


def disk_is_low() -> int | None:
    """Free bytes when they are below the floor, else None."""
    free = shutil.disk_usage(settings.FMLX.home).free
    return free if free < options.DISK_FLOOR_BYTES.value else None
