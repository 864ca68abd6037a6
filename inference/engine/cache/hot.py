"""The hot tier: blocks in memory, as arrays, within a number of bytes. On the thread that computes."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from inference.engine.cache.layers import Arrays


@dataclass(frozen=True, slots=True)
class Hot:
    """A block or a tail of which all is computed. `tokens` are its ids, packed; `complete`: with the snapshots that
    its model needs."""

    key: bytes
    begin: int
    position: int
    tokens: bytes
    arrays: Arrays
    complete: bool
    size: int  # bytes


class HotTier:
    """The longest unused goes first. `limit` says how many bytes there may be now."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._kept: OrderedDict[bytes, Hot] = OrderedDict()
        self._pinned: set[bytes] = set()
        self.size = self.evicted = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def limit(self) -> int:
        return max(0, self._limit())

    def get(self, key: bytes) -> Hot | None:
        return self._kept.get(key)

    def put(self, block: Hot) -> bool:
        """A complete one takes an incomplete one's place. False when there is no room for it."""
        there = self._kept.get(block.key)
        if there is not None and (there.complete or not block.complete):
            return True
        if block.size > self.limit:
            return False
        if there is not None:
            self._drop(block.key)
        self._kept[block.key] = block
        self.size += block.size
        self._shrink(self.limit)
        return True

    def used(self, keys: Iterable[bytes]) -> None:
        """In the order of the prompt: of two blocks the later one goes first, since it is of no use alone."""
        for key in reversed(list(keys)):
            if key in self._kept:
                self._kept.move_to_end(key)

    @contextmanager
    def pinned(self, keys: Iterable[bytes]) -> Iterator[None]:
        """While the block runs these are wanted, and are not given back."""
        self._pinned = set(keys)
        yield
        self._pinned = set()

    def give_back(self, bytes_: int) -> int:
        """Let go of at least so many, if there are. Returns how many it were."""
        before = self.size
        self._shrink(max(0, before - bytes_))
        return before - self.size

    def clear(self) -> None:
        self._kept.clear()
        self.size = 0

    def _shrink(self, size: int) -> None:
        going, left = [], self.size
        for key, block in self._kept.items():
            if left <= size:
                break
            if key not in self._pinned:
                going.append(key)
                left -= block.size
        for key in going:
            self._drop(key)
        self.evicted += len(going)

    def _drop(self, key: bytes) -> None:
        self.size -= self._kept.pop(key).size
