"""Files that a key uploaded: rows, and contents that are kept once however often they are sent."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from fmlx_site.errors import DiskFull
from inference.models import ApiKey
from memory import gib
from videos import options, storage
from videos.errors import FileNotFound, QuotaExceeded
from videos.models import InputFile

PREFIX = "file-"
CHUNK_BYTES = 1024**2


def mine(key: ApiKey | None, file_id: str, param: str) -> InputFile:
    """Who has no key is the operator, on the pages, and sees all. Raises FileNotFound."""
    seen = InputFile.objects.all() if key is None else InputFile.objects.filter(key=key)
    found = seen.filter(pk=file_id, expires_at__gt=timezone.now()).first()
    if found is None or not path_of(found).is_file():
        raise FileNotFound(file_id, param)
    return found


def path_of(file: InputFile) -> Path:
    path: Path = settings.FMLX.files / file.sha256[:2] / file.sha256
    return path


def store(path: Path, found: dict[str, Any], *, key: ApiKey, name: str, purpose: str, keep_seconds: float) -> InputFile:
    """Keep the file at `path`, of which the decoder said what was `found`. Nothing is left of one that is refused.

    Raises:
        QuotaExceeded, DiskFull
    """
    seconds = options.FILES_KEEP_SECONDS.value
    file = InputFile(
        key=key,
        name=name,
        purpose=purpose,
        bytes=path.stat().st_size,
        sha256=_digest(path),
        expires_at=timezone.now() + timedelta(seconds=min(seconds, keep_seconds)),
        **found,
    )
    if (free := storage.disk_is_low()) is not None:
        raise DiskFull(_("Only %(free)s of disk is free; delete files or videos.") % {"free": gib(free)})
    with transaction.atomic():
        file.save(force_insert=True)
        _within_quota(file)
        _keep(path, file)
    _keep(path, file)  # who deleted the last other row of the same content may have taken the content as well
    return file


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _within_quota(file: InputFile) -> None:
    of_key = InputFile.objects.filter(key=file.key_id).aggregate(held=Sum("bytes"))["held"]
    if of_key > options.FILES_KEY_BYTES.value:
        raise QuotaExceeded(
            _("With this file the key would hold %(held)s, and %(most)s is the most for one key; delete some first.")
            % {"held": gib(of_key), "most": gib(options.FILES_KEY_BYTES.value)},
            param="file",
        )
    total = total_bytes()
    if total > options.FILES_BYTES.value:
        raise DiskFull(
            _("With this file all keys would hold %(held)s, and %(most)s is the most on this server.")
            % {"held": gib(total), "most": gib(options.FILES_BYTES.value)},
            param="file",
        )


def total_bytes() -> int:
    """Of the contents, each counted once."""
    each = InputFile.objects.order_by().values("sha256").annotate(size=Max("bytes"))
    return sum(one["size"] for one in each)


def _keep(path: Path, file: InputFile) -> None:
    target = path_of(file)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o600)
    if not target.exists():
        part = target.with_name(f".{target.name}.{file.pk}")
        part.unlink(missing_ok=True)
        os.link(path, part)
        part.replace(target)


def delete(file: InputFile) -> None:
    InputFile.objects.filter(pk=file.pk).delete()
    _tidy(file.sha256)


def _tidy(sha256: str) -> None:
    if not InputFile.objects.filter(sha256=sha256).exists():
        (settings.FMLX.files / sha256[:2] / sha256).unlink(missing_ok=True)


def keep_house() -> None:
    """Remove what has expired, and contents without a row, which a crash between the two leaves."""
    for file in InputFile.objects.filter(expires_at__lte=timezone.now()):
        delete(file)
    known = set(InputFile.objects.values_list("sha256", flat=True))
    for path in settings.FMLX.files.glob("*/*"):
        if path.name not in known and storage.is_old(path):
            path.unlink(missing_ok=True)
