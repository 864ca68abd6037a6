"""From a state for each token to one vector for each text. Padding is never part of it."""

import mlx.core as mx

from inference.engine.encoder.checkpoint import Pooling

LEAST = 1e-12  # a vector's length is never taken for less: sentence-transformers' Normalize (torch's `normalize`)


def pool(states: mx.array, mask: mx.array, pooling: Pooling) -> mx.array:
    """[B, L, H] and [B, L], whose rows begin with their tokens: [B, H]."""
    if pooling == "cls":
        return states[:, 0]
    lengths = mx.sum(mask, axis=1)
    if pooling == "last":
        return states[mx.arange(states.shape[0]), lengths.astype(mx.int32) - 1]
    # `where`, not a product: a state that is not a number would not become nothing by being multiplied with it
    return mx.sum(mx.where(mask[:, :, None] > 0, states, 0), axis=1) / lengths[:, None]


def normalise(vectors: mx.array) -> mx.array:
    return vectors / mx.maximum(mx.linalg.norm(vectors, axis=-1, keepdims=True), LEAST)
