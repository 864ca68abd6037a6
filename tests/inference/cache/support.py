"""Blocks to keep, and looking at what is kept. Light to import: children that are killed 200 times use it."""

import hashlib
from pathlib import Path

from inference.engine.cache.entry import Entry, Tensor
from inference.engine.cache.files import PREFIXES, Place
from inference.engine.cache.store import Store

MODEL, OTHER = "ab" * 32, "cd" * 32
KIB, MIB = 1024, 1024**2


def key_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def block(number: int, *, parent: int | None = None, model: str = MODEL, size: int = 20 * KIB, complete: bool = True):
    """A block whose bytes follow from its number: what is read back can be compared."""
    seed = hashlib.sha256(f"{number} {complete}".encode()).digest()
    tensors = {
        "0.keys": Tensor("BF16", (1, 2, size // 8), seed * (size // 64)),
        "0.values": Tensor("F32", (size // 8,), seed[::-1] * (size // 64)),
        "1.empty": Tensor("F32", (0, 4), b""),
        "1.odd": Tensor("U8", (3,), b"odd"),
    }
    tokens = (number % 2**31).to_bytes(4, "little") * 256
    chained = None if parent is None else key_of(parent)
    return Entry(key_of(number), chained, model, "demo", tokens, tensors, {"snapshots": "1"}, complete)


def chain(count: int, *, begin: int = 0, **facts) -> list[Entry]:
    return [block(begin + n, parent=begin + n - 1 if n else None, **facts) for n in range(count)]


def placed(entry: Entry) -> Place:
    return Place(entry.model, entry.key, entry.complete)


def file_of(folder: Path, entry: Entry) -> Path:
    with Store(folder) as store:
        return store.files.path(placed(entry))


def on_disk(folder: Path) -> tuple[set[Place], set[Place]]:
    """What the files say is there, and what the index says."""
    with Store(folder) as store:
        models = {held.model for held in store.index.held()} | set(store.files.models())
        leaves = [(model, prefix) for model in models for prefix in range(PREFIXES)]
        files = {place for model, prefix in leaves for place in store.files.leaf(model, prefix)}
        return files, {place for model, prefix in leaves for place in store.index.leaf(model, prefix)}


def bytes_of_files(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("blocks/*/*/*"))
