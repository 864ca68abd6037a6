"""Files that are put anew when rows of some tables change, so that a process may go on using what it has read of them.

Looking at one costs a few microseconds, where a request would wait some milliseconds for a query in another thread.
"""

import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models.signals import post_delete, post_save

SHARED_SECONDS = 1.0  # so old may be what is known of a database that processes of other homes write as well
OWN_SECONDS = 60.0  # so old of this home's own, where all but a hand in the database itself renews the stamp
Seen = tuple[int, int]


def look_seconds() -> float:
    """How long what was read holds while the stamp is the same."""
    return SHARED_SECONDS if settings.FMLX.database_url else OWN_SECONDS


class Stamp:
    """Of the last change that a process of this home made to one kind of rows, and committed."""

    def __init__(self, name: str) -> None:
        self.name = name

    def seen(self) -> Seen:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_ino, found.st_mtime_ns

    def renew(self) -> None:
        """When the change is committed."""
        path = self._path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{self.name}.{uuid.uuid4().hex}")
        draft.touch(mode=0o600)
        draft.replace(path)  # another file with another inode, however coarse the clock of the file system is

    def follow(self, *tables: type[models.Model]) -> None:
        """Renew it with every row that is saved or deleted. What is written without a signal must do so itself."""
        for table in tables:
            for signal in (post_save, post_delete):
                signal.connect(self._changed, sender=table)

    @property
    def _path(self) -> Path:
        return Path(settings.FMLX.run / self.name)

    def _changed(self, **_: Any) -> None:
        transaction.on_commit(self.renew)


KEYS, MODELS = Stamp("keys"), Stamp("models")
