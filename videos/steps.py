"""Which artifacts the steps of jobs name, and how long the files stay: as long as a job needs them, within a bound."""

import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from videos import options
from videos.models import Step, VideoJob

log = structlog.get_logger(__name__)
ORDER = ("encode", "condition", "denoise", "decode", "mux")
INPUTS = ("picture", "last_picture", "clip")  # were there before the job, and no worker makes them
ENDED = (VideoJob.Status.COMPLETED, VideoJob.Status.FAILED)
FAILED_KEPT = timedelta(days=1)  # a failed job may be put back in line
STRAY_SECONDS = 600.0  # a file is older than this before the lack of a row counts against it
SUFFIX = ".safetensors"


def plan(job_id: str, keys: dict[str, str]) -> None:
    """Remember what a job's worker is about to make or use, before it does. Nothing for a job that was deleted."""
    try:
        with transaction.atomic():
            for name, key in keys.items():
                if not Step.objects.filter(job=job_id, name=name, key=key).exists():
                    blank = {"key": key, "bytes": None, "made_at": None, "reused": False}
                    Step.objects.update_or_create(job_id=job_id, name=name, defaults=blank)
    except IntegrityError:
        log.info("The job was deleted while its worker began.", job=job_id)


def made(job_id: str, name: str, *, key: str, size: int, reused: bool) -> None:
    """A step is done. It counts as reused when another job had done it, and not an earlier attempt of this one."""
    step = Step.objects.filter(job=job_id, name=name, key=key, made_at=None)
    step.update(bytes=size, made_at=timezone.now(), reused=reused)


def left(job_id: str) -> list[str]:
    """The steps that are still to be done, mux among them."""
    rows = Step.objects.filter(job=job_id)
    names = set(rows.values_list("name", flat=True))
    done = set(rows.exclude(made_at=None).values_list("name", flat=True))
    order = [name for name in ORDER if name != "condition" or names & set(INPUTS)]
    furthest = max((order.index(name) for name in done if name in order), default=-1)
    return order[furthest + 1 :]


def forget(job_id: str) -> None:
    """Something that was made is not there any more: the job's steps are to be done again."""
    Step.objects.filter(job=job_id).exclude(name__in=INPUTS).update(made_at=None)


def keys_of(job_id: str) -> list[str]:
    return list(Step.objects.filter(job=job_id).values_list("key", flat=True))


def let_go(job_ids: Iterable[str]) -> None:
    """These jobs need nothing any more."""
    rows = Step.objects.filter(job__in=list(job_ids))
    keys = list(rows.values_list("key", flat=True))
    rows.delete()
    tidy(keys)


def tidy(keys: Iterable[str]) -> None:
    """Remove the files of these keys that nobody needs: no step names them, or only those of finished jobs name
    frames or the state of a denoising.
    """
    for key in set(keys):
        named = Step.objects.filter(key=key)
        if not named.exists():
            _remove(f"*-{key}*")
        elif not named.exclude(job__status__in=ENDED).exists():
            _remove(f"state-{key}*")
            if not options.KEEP_FRAMES.value:
                _remove(f"frames-{key}*")


def keep_house() -> None:
    """One round of retention: let go of what failed, of what is too much, and of what nobody ever named."""
    failed = Q(job__error_code="cancelled") | Q(job__completed_at__lt=timezone.now() - FAILED_KEPT)
    let_go(Step.objects.filter(failed, job__status=VideoJob.Status.FAILED).values_list("job", flat=True).distinct())
    passing = {key_of(path) for path in files() if path.name.startswith(("frames-", "state-"))}
    tidy(Step.objects.filter(key__in=passing).values_list("key", flat=True))
    _keep_within(options.STEPS_BYTES.value)
    _remove_strays()


def _keep_within(limit: int) -> None:
    kept = VideoJob.objects.filter(made__isnull=False, status__in=ENDED).order_by("completed_at").distinct()
    oldest_first = iter(kept.values_list("pk", flat=True)) if total_bytes() > limit else iter(())
    while total_bytes() > limit and (job_id := next(oldest_first, None)):
        let_go([job_id])
        log.info("What a clip was made from was removed to stay within the bound.", job=job_id, bound=limit)


def _remove_strays() -> None:
    old = time.time() - STRAY_SECONDS
    strays = {key_of(path) for path in files() if _changed(path) < old}
    tidy(strays - set(Step.objects.filter(key__in=strays).values_list("key", flat=True)))


def files() -> list[Path]:
    return list(settings.FMLX.steps.glob(f"*-*{SUFFIX}"))


def key_of(path: Path) -> str:
    """The name is `kind-key`, or `state-key-step`."""
    return path.name.removesuffix(SUFFIX).split("-")[1]


def total_bytes() -> int:
    return sum(_size(path) for path in files())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _remove(pattern: str) -> None:
    for path in settings.FMLX.steps.glob(pattern + SUFFIX):
        path.unlink(missing_ok=True)
