"""What is on disk and what was used last, in SQLite: one file for every engine of the machine, and for the site.

Order of use is a count, not a time: a clock that jumps changes nothing. A file says of itself what it is, so a lost
index is made again from the files; a row without a file, or a file without a row, is mended wherever it is met.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.engine.cache.database import connect, note_damage
from inference.engine.cache.files import Place

BUSY_SECONDS = 5.0
DEEPEST = 4096  # blocks of one prompt: a million tokens
AT_ONCE = 256  # keys of one statement: half the time of asking for each
HAVE = {
    count: f"SELECT key, complete FROM entries WHERE model = ? AND key IN ({', '.join('?' * count)})"  # noqa: S608
    for count in (1, 16, 64, AT_ONCE)
}
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@dataclass(frozen=True, slots=True)
class Held:
    """What the cache has of one model. Bytes are those of its files; `used_at` is seconds of the epoch."""

    model: str
    name: str
    entries: int
    bytes: int
    used_at: float


class Index:
    """One connection; any thread may use it, one at a time. Everything may raise sqlite3.Error."""

    def __init__(self, folder: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self._inside = False
        self._base, self._using = connect(folder, busy_seconds)

    def close(self) -> None:
        with self._lock:
            self._base.close()
            os.close(self._using)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """A transaction: until it ends no other process changes the index or the files."""
        with self._lock:
            if self._inside:
                yield
                return
            self._run("BEGIN IMMEDIATE")
            self._inside = True
            try:
                yield
                self._run("COMMIT")
            except BaseException:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                raise
            finally:
                self._inside = False

    # asking

    def have(self, keys: Iterable[bytes], model: str) -> dict[bytes, bool]:
        """For each that is there, whether it is complete."""
        wanted = list(keys)
        found: dict[bytes, int] = {}
        with self._lock:
            model_id = self._id(model)
            for begin in range(0, len(wanted), AT_ONCE):
                some = wanted[begin : begin + AT_ONCE]
                count = next(count for count in HAVE if count >= len(some))
                some += some[-1:] * (count - len(some))
                found.update(self._run(HAVE[count], (model_id, *some)).fetchall())
        return {key: bool(complete) for key, complete in found.items()}

    def held(self) -> list[Held]:
        statement = "SELECT fingerprint, name, entries, bytes, used_at FROM models WHERE entries ORDER BY name"
        return [Held(*row) for row in self._all(statement)]

    def total(self) -> tuple[int, int]:
        """Entries and bytes."""
        ((entries, size),) = self._all("SELECT coalesce(sum(entries), 0), coalesce(sum(bytes), 0) FROM models")
        return entries, size

    def oldest(self, most: int) -> list[tuple[Place, int]]:
        """Those unused for the longest and their sizes."""
        statement = """SELECT fingerprint, key, complete, size FROM entries JOIN models ON models.id = model
                       ORDER BY used LIMIT ?"""
        return [(Place(model, key, bool(done)), size) for model, key, done, size in self._all(statement, (most,))]

    def leaf(self, model: str, prefix: int) -> set[Place]:
        """The rows whose keys begin with one byte."""
        statement = "SELECT key, complete FROM entries WHERE model = ? AND key BETWEEN ? AND ?"
        with self._lock:
            rows = self._all(statement, (self._id(model), *_span(prefix)))
        return {Place(model, key, bool(complete)) for key, complete in rows}

    # changing, inside `changing`

    def put(self, place: Place, parent: bytes | None, size: int, name: str, now: float) -> None:
        """A row for a file, in the place of the one that its block had."""
        self._run(
            """INSERT INTO models (fingerprint, name, used_at) VALUES (?, ?, ?)
               ON CONFLICT (fingerprint) DO UPDATE SET name = excluded.name, used_at = excluded.used_at""",
            (place.model, name, now),
        )
        self._run(
            """INSERT INTO entries (model, key, parent, size, complete, used)
               VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(used), 0) + 1 FROM entries))
               ON CONFLICT (model, key) DO UPDATE SET size = excluded.size, complete = excluded.complete,
               used = excluded.used""",
            (self._id(place.model), place.key, parent, size, place.complete),
        )

    def drop(self, places: Iterable[Place]) -> int:
        """How many there were."""
        statement = "DELETE FROM entries WHERE model = ? AND key = ? AND complete = ?"
        rows = [(self._id(place.model), place.key, place.complete) for place in places]
        return sum(self._run(statement, row).rowcount for row in rows)

    def drop_leaf(self, model: str, prefix: int) -> int:
        statement = "DELETE FROM entries WHERE model = ? AND key BETWEEN ? AND ?"
        return self._run(statement, (self._id(model), *_span(prefix))).rowcount

    def forget(self, model: str) -> None:
        """A model of which nothing is left."""
        self._run("DELETE FROM models WHERE fingerprint = ? AND entries = 0", (model,))

    def touch(self, tail: bytes, model: str, now: float) -> None:
        """A block was used, and with it those that it stands on: the first of a prompt is the last to go."""
        model_id = self._id(model)
        self._run(
            """WITH RECURSIVE chain (key, parent, depth) AS (
                   SELECT key, parent, 1 FROM entries WHERE model = :model AND key = :tail
                   UNION ALL
                   SELECT entries.key, entries.parent, depth + 1 FROM chain JOIN entries
                   ON model = :model AND entries.key = chain.parent WHERE depth < :deepest
               )
               UPDATE entries SET used = (SELECT max(used) FROM entries) + chain.depth FROM chain
               WHERE entries.model = :model AND entries.key = chain.key""",
            {"model": model_id, "tail": tail, "deepest": DEEPEST},
        )
        self._run("UPDATE models SET used_at = ? WHERE id = ?", (now, model_id))

    def shrink(self) -> None:
        """Give the log's room back to a disk that is full. Not inside `changing`."""
        self._run("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _id(self, model: str) -> int | None:
        row = self._run("SELECT id FROM models WHERE fingerprint = ?", (model,)).fetchone()
        return row[0] if row else None

    def _all(self, statement: str, values: Sequence[object] = ()) -> list[Any]:
        with self._lock:
            return self._run(statement, values).fetchall()

    def _run(self, statement: str, values: Any = ()) -> sqlite3.Cursor:
        try:
            return self._base.execute(statement, values)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE:
                note_damage(self._folder)
            raise


def _span(prefix: int) -> tuple[bytes, bytes]:
    """The least and the greatest key that begins with one byte."""
    return bytes([prefix]) + bytes(31), bytes([prefix]) + b"\xff" * 31
