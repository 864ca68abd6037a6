"""The gated delta rule for training on a CPU: a few matrix products for sixteen tokens, not a dozen steps for each.

With S the state, it says S_t = g_t S_{t-1} (1 - b_t k_t k_t') + b_t v_t k_t' and y_t = S_t q_t. Within a chunk, what
each token adds follows from a triangular system (Yang et al., "Parallelizing Linear Transformers with the Delta Rule
over Sequence Length", 2024), whose inverse is a product, since a strictly triangular matrix becomes 0 in the end.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx_lm.models import qwen3_next

CHUNK = 16  # tokens: powers of the matrix grow with it, and float32 loses their differences from 64 on
DOUBLINGS = 3  # of powers of the matrix, until they have reached CHUNK


def update(  # noqa: PLR0917  mlx-lm calls it so
    q: mx.array,
    k: mx.array,
    v: mx.array,
    a: mx.array,
    b: mx.array,
    a_log: mx.array,
    dt_bias: mx.array,
    *_: Any,
    **__: Any,
) -> tuple[mx.array, None]:
    """Like mlx-lm's gated_delta_update, from an empty state, for as many heads of keys as of values.

    q, k: [B, T, H, K], v: [B, T, H, V], a, b: [B, T, H]; gives [B, T, H, V].
    """
    length = q.shape[1]
    decay = -mx.exp(a_log) * nn.softplus(a + dt_bias)
    q, k, v, b, decay = (_chunks(one) for one in (q, k, v, mx.sigmoid(b)[..., None], decay[..., None]))
    passed = mx.cumsum(decay, axis=3)
    between = passed - passed.swapaxes(3, 4)
    until = mx.tril(mx.ones((CHUNK, CHUNK)))
    kept = mx.exp(mx.where(until > 0, between, 0)) * until
    inverse = _inverse(b * kept * (k @ k.swapaxes(3, 4)) * (1 - mx.eye(CHUNK)))
    begun = mx.exp(passed)
    own, seen = inverse @ (b * v), inverse @ (b * begun * k)
    answers = kept * (q @ k.swapaxes(3, 4))
    read, left = begun * q, mx.exp(passed[:, :, :, -1:] - passed) * k
    state, found = mx.zeros((*q.shape[:2], q.shape[-1], v.shape[-1])), []  # [B, H, K, V]: what a chunk leaves
    for at in range(q.shape[2]):
        added = own[:, :, at] - seen[:, :, at] @ state
        found.append(read[:, :, at] @ state + answers[:, :, at] @ added)
        state = begun[:, :, at, -1:] * state + left[:, :, at].swapaxes(2, 3) @ added
    return _joined(found)[:, :length], None


def _chunks(values: mx.array) -> mx.array:
    """[B, T, H, D] to [B, H, T / CHUNK, CHUNK, D], with zeros at the end."""
    batch, length, heads, size = values.shape
    padded = mx.pad(values, [(0, 0), (0, -length % CHUNK), (0, 0), (0, 0)])
    return padded.reshape(batch, -1, CHUNK, heads, size).transpose(0, 3, 1, 2, 4)


def _inverse(matrix: mx.array) -> mx.array:
    """Of 1 + `matrix`, which is strictly lower triangular."""
    found, power = mx.eye(CHUNK) - matrix, matrix
    for _ in range(DOUBLINGS):
        power = power @ power
        found = found + found @ power
    return found


def _joined(chunks: list[mx.array]) -> mx.array:
    """Of [B, H, CHUNK, V] each, [B, T, H, V]."""
    return mx.concatenate(chunks, axis=2).swapaxes(1, 2)


@contextmanager
def fast_recurrence() -> Iterator[None]:
    """Let mlx-lm's qwen3_next use it."""
    plain = qwen3_next.gated_delta_update
    qwen3_next.gated_delta_update = update
    try:
        yield
    finally:
        qwen3_next.gated_delta_update = plain
