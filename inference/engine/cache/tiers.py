"""Where a block is: hot, on the SSD, or nowhere. Blocks go to both tiers at once, and are looked for in this order."""

from collections.abc import Sequence
from typing import Protocol

from inference.engine.cache.arrays import to_array, to_tensor
from inference.engine.cache.blocks import BLOCK, Chain
from inference.engine.cache.entry import Entry
from inference.engine.cache.hot import Hot, HotTier
from inference.engine.cache.plan import Found


class Slow(Protocol):
    """The SSD tier, as `cache.ssd.SsdTier` offers it."""

    def have(self, keys: Sequence[bytes], model: str) -> list[bool | None]:
        """Whether each is complete; None is not there."""

    def read(self, key: bytes, model: str) -> Entry | None: ...

    def write(self, entry: Entry) -> bool:
        """Queue it. False when it was dropped."""

    def figures(self) -> dict[str, int]: ...

    def close(self, timeout: float) -> None: ...


class Tiers:
    """`model` is the fingerprint that the SSD tier keeps blocks under, and `name` the model's for people."""

    def __init__(self, hot: HotTier, slow: Slow | None, model: str, name: str) -> None:
        self.hot, self.slow = hot, slow
        self._model, self._name = model, name

    def find(self, chain: Chain, ends: Sequence[int], keys: Sequence[bytes], *, hot: bool = True) -> list[Found | None]:
        """Of the blocks that end there and are called so, those that are in a tier; or only in the slow one."""
        found: list[Found | None] = []
        for end, key in zip(ends, keys, strict=True):
            begin, block = _begin(end), self.hot.get(key) if hot else None
            there = block is not None and block.tokens == chain.ids(begin, end)
            found.append(Found(key, begin, end, "hot", block.complete) if block and there else None)
        lacking = [at for at, one in enumerate(found) if one is None or not one.complete]
        if self.slow and lacking:
            said = self.slow.have([keys[at] for at in lacking], self._model)
            for at, complete in zip(lacking, said, strict=True):
                if complete is not None and (found[at] is None or complete):
                    found[at] = Found(keys[at], _begin(ends[at]), ends[at], "ssd", complete)
        return found

    def fetch(self, found: Found) -> Entry | None:
        """What the SSD has. On any thread."""
        return self.slow.read(found.key, self._model) if self.slow else None

    def warmed(self, entry: Entry | None, found: Found, chain: Chain) -> Hot | None:
        """What was read from the SSD, if it is what it should be."""
        ids = chain.ids(found.begin, found.position)
        if entry is None or entry.tokens != ids or entry.parent != chain.parent(found.begin):
            return None
        try:
            arrays = {name: to_array(tensor) for name, tensor in entry.tensors.items()}
        except (KeyError, ValueError):
            return None
        return Hot(found.key, found.begin, found.position, ids, arrays, entry.complete, entry.size)

    def keep(self, block: Hot, chain: Chain) -> tuple[bool, bool]:
        """Whether it is in the hot tier, and on its way to the SSD."""
        hot = self.hot.put(block)
        return hot, self.slow is not None and self.slow.write(self._entry(block, chain))

    def _entry(self, block: Hot, chain: Chain) -> Entry:
        return Entry(
            key=block.key,
            parent=chain.parent(block.begin),
            model=self._model,
            name=self._name,
            tokens=block.tokens,
            tensors={name: to_tensor(array) for name, array in block.arrays.items()},
            complete=block.complete,
        )


def _begin(end: int) -> int:
    return (end - 1) // BLOCK * BLOCK
