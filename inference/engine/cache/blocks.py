"""How a prompt is cut into blocks, and what a block is called. No MLX here."""

import hashlib
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence

BLOCK = 256  # tokens; mlx_lm.models.cache.KVCache grows by as many
ID_BYTES = 4
FORMAT = 1  # raise it when the tensors of an entry mean something else


def root_of(facts: Mapping[str, str], salt: str) -> bytes:
    """What every chain of one model and one owner of prompts begins with; whatever changes what a layer keeps for
    the same token ids is one of the facts."""
    digest = hashlib.sha256(f"fmlx prefix cache {FORMAT}".encode())
    for name, value in [*sorted(facts.items()), ("salt", salt)]:
        digest.update(f"\0{name}\0{len(value.encode())}\0{value}".encode())
    return digest.digest()


def packed(tokens: Sequence[int]) -> bytes:
    """Ids as little-endian uint32."""
    ids = array("I", tokens)
    if sys.byteorder == "big":
        ids.byteswap()
    return ids.tobytes()


class Chain:
    """The names of a prompt's blocks: each is the SHA-256 of the one before and of its own token ids, so that it says
    everything that comes before its end. A tail is a block that ends early: `level` whole blocks and some tokens."""

    __slots__ = ("_ids", "_keys", "_root")

    def __init__(self, root: bytes, tokens: Sequence[int]) -> None:
        self._root, self._ids = root, packed(tokens)
        self._keys: list[bytes] = []

    def __len__(self) -> int:
        """Tokens."""
        return len(self._ids) // ID_BYTES

    def ids(self, begin: int, end: int) -> bytes:
        return self._ids[begin * ID_BYTES : end * ID_BYTES]

    def parent(self, begin: int) -> bytes | None:
        """The block before the one that begins there."""
        return self.key(begin) if begin else None

    def key(self, end: int) -> bytes:
        """Of the block, or the tail, that ends there."""
        level, rest = divmod(end, BLOCK)
        while len(self._keys) < level:
            at = len(self._keys) * BLOCK
            self._keys.append(hashlib.sha256(self._before(at) + self.ids(at, at + BLOCK)).digest())
        if not rest:
            return self._keys[level - 1]
        return hashlib.sha256(self._before(end - rest) + self.ids(end - rest, end)).digest()

    def keys(self, end: int) -> list[bytes]:
        """Of all whole blocks up to `end`."""
        self.key(end // BLOCK * BLOCK or 1)
        return self._keys[: end // BLOCK]

    def tails(self, level: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Where the tails after `level` blocks end, up to `end`, and what they are called: 0.5 us each."""
        begin = level * BLOCK
        self.key(begin or 1)
        digest = hashlib.sha256(self._before(begin))
        for at in range(begin + 1, min(end, begin + BLOCK - 1) + 1):
            digest.update(self.ids(at - 1, at))
            yield at, digest.copy().digest()

    def _before(self, begin: int) -> bytes:
        return self._keys[begin // BLOCK - 1] if begin else self._root
