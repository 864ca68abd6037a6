"""The prefix cache on this machine's disk, as the site sees it: how full it is, and cleaning it.

Engines write it. Their index may be read and changed by other processes while they run.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from fmlx_site.errors import NotFound, Unavailable
from inference.catalog import recent_catalog
from inference.client import Event
from inference.engine.cache.files import PREFIXES, free_bytes
from inference.engine.cache.index import Held
from inference.engine.cache.quota import DEFAULT_SHARE, Quota
from inference.engine.cache.store import Store
from inference.options import CACHE_BYTES
from inference.pool import engine_states


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Bytes. `limit` is how large the cache may be: the smaller of the setting and the share of the free disk."""

    models: list[Held]
    setting: int
    limit: int
    free: int

    @property
    def bytes(self) -> int:
        return sum(model.bytes for model in self.models)

    @property
    def entries(self) -> int:
        return sum(model.entries for model in self.models)

    @property
    def share(self) -> float:
        return DEFAULT_SHARE


@dataclass(frozen=True, slots=True)
class Verified:
    """Files that were read, and those of them that were damaged and set aside."""

    files: int
    damaged: int


def read_cache() -> OnDisk:
    """Raises Unavailable."""
    folder: Path = settings.FMLX.cache
    with _store() as store:
        models = store.index.held() if store else []
        held = sum(model.bytes for model in models)
        there = folder if store else settings.FMLX.home
        limit = Quota(there, CACHE_BYTES.value, DEFAULT_SHARE).limit(held)
        return OnDisk(models, CACHE_BYTES.value, limit, free_bytes(there))


def clear_cache(model: str | None = None) -> int:
    """Remove the blocks of a model, by its name or its fingerprint, or all; returns bytes.

    Raises:
        NotFound: nothing of this model is there.
        Unavailable: the disk or the index did not answer.
    """
    with _store() as store:
        known = store.index.held() if store else []
        wanted = [held.model for held in known if model in (held.model, held.name)]
        if model is not None and not wanted:
            names = ", ".join(sorted({held.name for held in known})) or "nothing"
            raise NotFound(f"The cache holds nothing of {model!r}; it holds {names}.", param="model")
        if store is None:
            return 0
        return store.clear() if model is None else sum(store.clear(each) for each in wanted)


def verify_cache() -> Verified:
    """Read every file; what is damaged is set aside. Raises Unavailable."""
    with _store() as store:
        if store is None:
            return Verified(0, 0)
        leaves = ((model, prefix) for model in store.files.models() for prefix in range(PREFIXES))
        fine = [store.verify(place) for leaf in leaves for place in store.files.leaf(*leaf)]
    return Verified(len(fine), fine.count(False))


async def engine_counts() -> dict[str, Event]:
    """What each loaded model's engine says of its prefix cache, as of a second ago (`engine/messages.py`)."""
    states = await engine_states(await recent_catalog.read())
    return {name: state["cache"] for name, state in states.items() if state.get("cache")}


def used_at(held: Held) -> datetime:
    return datetime.fromtimestamp(held.used_at, UTC)


@contextmanager
def _store() -> Iterator[Store | None]:
    """None when no engine ever made one."""
    folder: Path = settings.FMLX.cache
    try:
        if not folder.is_dir():
            yield None
            return
        with Store(folder) as store:
            yield store
    except (sqlite3.Error, OSError) as error:
        raise Unavailable(
            f"The prefix cache in {folder} did not answer ({error}); try again.", retry_after=2
        ) from error
