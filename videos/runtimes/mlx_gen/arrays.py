"""MLX arrays as an artifact's bytes and back, bit for bit."""

from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import numpy as np

from videos.runtimes.mlx_gen.artifacts import Found, Kept, Shelf

# How each is seen by NumPy, which has no bfloat16.
SEEN_AS: dict[str, tuple[mx.Dtype, Any]] = {
    "F32": (mx.float32, np.float32),
    "BF16": (mx.bfloat16, np.uint16),
    "F16": (mx.float16, np.float16),
    "U32": (mx.uint32, np.uint32),
}
NAMES = {dtype: name for name, (dtype, _) in SEEN_AS.items()}
Bytes = dict[str, tuple[str, tuple[int, ...], memoryview]]


def to_bytes(arrays: Mapping[str, mx.array]) -> Bytes:
    """Copies in the memory of the process that no longer need MLX: name → dtype, shape, data."""
    return {name: (NAMES[array.dtype], tuple(array.shape), _copied(array)) for name, array in arrays.items()}


def _copied(array: mx.array) -> memoryview:
    if array.dtype == mx.bfloat16:
        array = array.view(mx.uint16)
    return memoryview(np.array(array, copy=True, order="C")).cast("B")


def of(found: Found) -> dict[str, mx.array]:
    return {name: _array(found, name) for name in found.layout}


def _array(found: Found, name: str) -> mx.array:
    dtype, shape = found.layout[name]
    kind, seen_as = SEEN_AS[dtype]
    array = mx.array(np.frombuffer(found.bytes(name), dtype=seen_as).reshape(shape))
    return array.view(kind) if array.dtype != kind else array


def write(shelf: Shelf, name: str, tensors: Bytes, facts: Mapping[str, Any], *, durable: bool = True) -> Kept:
    """Put tensors on the shelf. Uses no MLX, so any thread may. `durable` as in `Draft.commit`."""
    layout = {tensor: (dtype, shape) for tensor, (dtype, shape, _) in tensors.items()}
    with shelf.draft(name, layout, facts) as draft:
        for tensor in sorted(tensors):
            draft.add(tensors[tensor][2])
        return draft.commit(durable=durable)
