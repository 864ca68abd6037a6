"""What each kind of layer keeps of a prompt, and how it is taken out of a cache and put back.

A layer that keeps keys and values for every token is *sliced*: a block has its own 256 tokens of it. A layer that keeps
a window or a recurrent state is *snapshotted*: a block has what the layer held where the block ends, or does without.
On the thread that computes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import mlx.core as mx
from mlx_lm.models.cache import (
    ArraysCache,
    BatchKVCache,
    CacheList,
    KVCache,
    RotatingKVCache,
)

from inference.engine.bounds import rounded

Arrays = dict[str, mx.array]


class Unsupported(Exception):
    """This cache holds something that cannot be kept and put back exactly."""


class Layers:
    """`sample` is a new cache of the model. Raises Unsupported."""

    def __init__(self, sample: Sequence[Any]) -> None:
        kinds = [type(leaf) for _, leaf in leaves(sample)]
        if unknown := [kind.__name__ for kind in kinds if kind not in (KVCache, RotatingKVCache, ArraysCache)]:
            raise Unsupported(f"layers of kind {unknown[0]}")
        if any(isinstance(leaf, RotatingKVCache) and leaf.keep for _, leaf in leaves(sample)):
            raise Unsupported("windows that keep their beginning")
        self.snapshots = any(kind is not KVCache for kind in kinds)
        self.description = ",".join(kind.__name__ for kind in kinds)

    def sliced(self, cache: Sequence[Any], begin: int, end: int) -> Arrays:
        """Copies, not computed yet, of what sliceable layers keep of the tokens from `begin` to `end`."""
        arrays: Arrays = {}
        for name, leaf in leaves(cache):
            if isinstance(leaf, KVCache):
                if leaf.offset < end:
                    raise Unsupported(f"layer {name} holds {leaf.offset} tokens where {end} were computed")
                arrays[f"{name}.k"] = mx.contiguous(leaf.keys[..., begin:end, :])
                arrays[f"{name}.v"] = mx.contiguous(leaf.values[..., begin:end, :])
        return arrays

    def snapshot(self, cache: Sequence[Any], position: int) -> Arrays:
        """Copies, not computed yet, of what the other layers hold after `position` tokens, which is now."""
        arrays: Arrays = {}
        for name, leaf in leaves(cache):
            if isinstance(leaf, RotatingKVCache):
                if leaf.offset != position:
                    raise Unsupported(f"layer {name} is at token {leaf.offset} and not at {position}")
                arrays[f"{name}.k"], arrays[f"{name}.v"] = _window(leaf, leaf.keys), _window(leaf, leaf.values)
            elif isinstance(leaf, ArraysCache):
                if leaf.left_padding is not None or leaf.lengths is not None:
                    raise Unsupported(f"layer {name} is padded")
                arrays |= {f"{name}.{at}": mx.contiguous(one) for at, one in enumerate(leaf.cache) if one is not None}
        return arrays


class Piece(Protocol):
    """What a block or a tail brings: `position` is where it ends."""

    @property
    def begin(self) -> int: ...

    @property
    def position(self) -> int: ...

    @property
    def arrays(self) -> Arrays: ...


class Filling:
    """A cache that is being put together, piece by piece: it takes the memory of the prefix once. `capacity` is the
    tokens it will have room for, so that the forward that comes next need not copy it to let it grow."""

    def __init__(self, cache: list[Any], capacity: int) -> None:
        self._cache, self._capacity = cache, rounded(capacity)
        self._sliceable = [(name, leaf) for name, leaf in leaves(cache) if isinstance(leaf, KVCache)]

    def add(self, piece: Piece) -> None:
        """The piece that comes next. Raises KeyError when it lacks a layer."""
        for name, leaf in self._sliceable:
            for kind, part in (("k", "keys"), ("v", "values")):
                new = piece.arrays[f"{name}.{kind}"]
                if getattr(leaf, part) is None:
                    shape = (*new.shape[:2], self._capacity, new.shape[3])
                    setattr(leaf, part, mx.zeros(shape, new.dtype))
                getattr(leaf, part)[..., piece.begin : piece.position, :] = new
            leaf.offset = piece.position

    def finish(self, last: Piece) -> list[Any]:
        """Put in what the last piece says of the layers that are not sliced. Nothing of it is copied: arrays never
        change, and a new one takes their place when a layer goes on."""
        for name, leaf in leaves(self._cache):
            if isinstance(leaf, RotatingKVCache):
                leaf.keys, leaf.values = _again(last.arrays[f"{name}.k"]), _again(last.arrays[f"{name}.v"])
                leaf.offset, leaf._idx = last.position, leaf.keys.shape[2]  # noqa: SLF001 - where the window ends
            elif isinstance(leaf, ArraysCache):
                for at in range(len(leaf.cache)):
                    if (found := last.arrays.get(f"{name}.{at}")) is not None:
                        leaf.cache[at] = _again(found)
        return self._cache

    def compute(self) -> None:
        mx.eval([array for _, leaf in self._sliceable for array in (leaf.keys, leaf.values) if array is not None])


def leaves(cache: Sequence[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each layer's cache, with a name; some layers have several."""
    for at, layer in enumerate(cache):
        if isinstance(layer, CacheList):
            yield from leaves(layer.caches, f"{prefix}{at}.")
        else:
            yield f"{prefix}{at}", layer


def row_of(layer: Any, at: int) -> Any:
    """One sequence's part of a layer's cache that several share, where that is a view, without copying it."""
    if isinstance(layer, CacheList):
        return CacheList(*(row_of(one, at) for one in layer.caches))
    if not isinstance(layer, BatchKVCache):
        return layer.extract(at)  # windows and states: small, and not as they will be asked for
    view, padding = KVCache(), layer.left_padding.tolist()[at]
    view.keys = layer.keys[at : at + 1, :, padding : layer._idx]  # noqa: SLF001 - where its tokens end
    view.values = layer.values[at : at + 1, :, padding : layer._idx]  # noqa: SLF001
    view.offset = view.keys.shape[2]
    return view


def _window(leaf: RotatingKVCache, held: mx.array) -> mx.array:
    """In order of time; a chunk leaves more than the window behind it, of which nothing looks any more."""
    ordered = leaf._temporal_order(held)  # noqa: SLF001 - the only one who knows where its ring begins
    return mx.contiguous(ordered[..., -leaf.max_size :, :])


def _again(array: mx.array) -> mx.array:
    """Another name for the same memory: an assignment to a part of an array changes what the name stands for."""
    return mx.contiguous(array)
