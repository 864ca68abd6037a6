"""Folders for what was sent, while it is looked at: on the file system of what is kept, and gone after."""

import time
import uuid
from pathlib import Path

from django.conf import settings

from videos.storage import discard

NAME = "sent"  # in the work folder, beside those of the nodes
STRAY_SECONDS = 3600.0  # a site that was killed leaves them


def folder_name() -> Path:
    """One that there is not yet."""
    name: Path = settings.FMLX.work / NAME / uuid.uuid4().hex
    return name


def new_folder() -> Path:
    folder = folder_name()
    folder.mkdir(mode=0o700, parents=True)
    return folder


def remove_strays() -> None:
    for folder in (settings.FMLX.work / NAME).glob("*"):
        try:
            old = folder.stat().st_mtime < time.time() - STRAY_SECONDS
        except FileNotFoundError:
            continue
        if old:
            discard(folder)
