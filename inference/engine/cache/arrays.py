"""Between MLX's arrays and the bytes that other tiers keep. On the thread that computes."""

import mlx.core as mx
import numpy as np

from inference.engine.cache.entry import Tensor

BY_DTYPE = {
    mx.float32: "F32", mx.float16: "F16", mx.bfloat16: "BF16", mx.int32: "I32", mx.uint32: "U32", mx.int64: "I64",
    mx.uint8: "U8", mx.int8: "I8", mx.uint16: "U16", mx.bool_: "BOOL",
}  # fmt: skip
NUMPY = {
    "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I32": "<i4", "U32": "<u4", "I64": "<i8", "U8": "u1", "I8": "i1",
    "U16": "<u2", "BOOL": "?",
}  # fmt: skip


def to_tensor(array: mx.array) -> Tensor:
    """Of an array that is computed and contiguous; numpy has no bfloat16, so that its bits are taken."""
    seen = array.view(mx.uint16) if array.dtype == mx.bfloat16 else array
    mx.eval(seen)
    return Tensor(BY_DTYPE[array.dtype], tuple(array.shape), bytes(memoryview(seen)))


def to_array(tensor: Tensor) -> mx.array:
    """Raises KeyError or ValueError when the bytes are not what the tensor says."""
    array = mx.array(np.frombuffer(tensor.data, NUMPY[tensor.dtype]).reshape(tensor.shape))
    return array.view(mx.bfloat16) if tensor.dtype == "BF16" else array
