"""The UMT5 encoder in MLX: Wan's text encoder without torch.

Follows `UMT5EncoderModel` of transformers 5 (models/umt5/modeling_umt5.py): pre-norm blocks, no score scaling, and a
relative position bias of each block's own. Computed in float32 whatever the weights are stored in; each block's
weights are read when it runs and dropped after it, so the peak is the embedding table and one block.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx

from memory.protocol import WorkerFailed

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sizes:
    layers: int
    heads: int
    head_dim: int
    buckets: int
    max_distance: int
    eps: float

    @classmethod
    def of(cls, config: Json) -> "Sizes":
        """Raises WorkerFailed `model_invalid` for a config that is not a gated-GELU UMT5."""
        if config.get("model_type") != "umt5" or config.get("feed_forward_proj") != "gated-gelu":
            raise WorkerFailed(
                "model_invalid",
                f"The text encoder is {config.get('model_type')!r} with {config.get('feed_forward_proj')!r}; "
                "Wan models use 'umt5' with 'gated-gelu'.",
            )
        return cls(
            layers=config["num_layers"],
            heads=config["num_heads"],
            head_dim=config["d_kv"],
            buckets=config.get("relative_attention_num_buckets", 32),
            max_distance=config.get("relative_attention_max_distance", 128),
            eps=config.get("layer_norm_epsilon", 1e-6),
        )


class Encoder:
    """One pass through the encoder. An instance is used up by `encode`: its weights are gone afterwards."""

    def __init__(self, config: Json, files: Sequence[Path]) -> None:
        self.sizes = Sizes.of(config)
        self._folder = files[0].parent
        self._weights: dict[str, mx.array] = {}
        for path in files:
            self._weights |= mx.load(str(path))  # lazy: bytes are read when a tensor is first used

    def encode(self, ids: mx.array, mask: mx.array, on_layer: Callable[[int], None]) -> mx.array:
        """The last hidden state, zero where the mask is.

        Args:
            ids, mask: int32 [B, L]; the mask is 1 for a token and 0 for padding.
            on_layer: called with the number of layers done, 1 to `sizes.layers`; may raise.

        Returns:
            float32 [B, L, d_model].

        Raises:
            WorkerFailed: `model_invalid`, when the checkpoint lacks a weight.
        """
        x = self._embedding()[ids].astype(mx.float32)
        hidden = mx.where(mask[:, None, None, :] > 0, 0.0, -math.inf)
        buckets = _buckets(ids.shape[1], self.sizes.buckets, self.sizes.max_distance)
        mx.eval(x)
        for layer in range(self.sizes.layers):
            x = self._block(f"encoder.block.{layer}.layer", x, hidden, buckets)
            mx.eval(x)
            on_layer(layer + 1)
        x = _rms_norm(x, self._take("encoder.final_layer_norm.weight"), self.sizes.eps)
        self._weights.clear()
        return mx.where(mask[..., None] > 0, x, 0.0)

    def _embedding(self) -> mx.array:
        for name in ("shared.weight", "encoder.embed_tokens.weight"):
            if name in self._weights:
                return self._weights.pop(name)
        raise self._lacks("shared.weight")

    def _block(self, name: str, x: mx.array, hidden: mx.array, buckets: mx.array) -> mx.array:
        h = _rms_norm(x, self._take(f"{name}.0.layer_norm.weight"), self.sizes.eps)
        x = x + self._attention(f"{name}.0.SelfAttention", h, hidden, buckets)
        h = _rms_norm(x, self._take(f"{name}.1.layer_norm.weight"), self.sizes.eps)
        return x + self._feed_forward(f"{name}.1.DenseReluDense", h)

    def _attention(self, name: str, h: mx.array, hidden: mx.array, buckets: mx.array) -> mx.array:
        batch, length, _ = h.shape
        shape = (batch, length, self.sizes.heads, self.sizes.head_dim)
        q, k, v = (self._linear(f"{name}.{part}", h).reshape(shape).transpose(0, 2, 1, 3) for part in "qkv")
        bias = self._take(f"{name}.relative_attention_bias.weight")[buckets].transpose(2, 0, 1)
        scores = q @ k.swapaxes(-1, -2) + bias[None] + hidden  # T5 does not divide by sqrt(d)
        mixed = (mx.softmax(scores, axis=-1) @ v).transpose(0, 2, 1, 3).reshape(batch, length, -1)
        return self._linear(f"{name}.o", mixed)

    def _feed_forward(self, name: str, h: mx.array) -> mx.array:
        gate = _gelu_new(self._linear(f"{name}.wi_0", h))
        return self._linear(f"{name}.wo", gate * self._linear(f"{name}.wi_1", h))

    def _linear(self, name: str, h: mx.array) -> mx.array:
        return h @ self._take(f"{name}.weight").T

    def _take(self, name: str) -> mx.array:
        if name not in self._weights:
            raise self._lacks(name)
        return self._weights.pop(name).astype(mx.float32)

    def _lacks(self, name: str) -> WorkerFailed:
        return WorkerFailed("model_invalid", f"The text encoder in {self._folder} lacks the weight {name}.")


def _buckets(length: int, buckets: int, max_distance: int) -> mx.array:
    """The bias bucket of every (query, key) pair: int32 [L, L]. Half of the buckets look forward; in each half, half
    are exact distances and the rest grow logarithmically up to `max_distance` (T5, arXiv:1910.10683)."""
    distance = mx.arange(length)[None, :] - mx.arange(length)[:, None]
    half = buckets // 2
    exact = half // 2
    away = mx.abs(distance)
    scale = (half - exact) / math.log(max_distance / exact)
    far = exact + (mx.log(mx.maximum(away, 1).astype(mx.float32) / exact) * scale).astype(mx.int32)
    near = mx.where(away < exact, away, mx.minimum(far, half - 1))
    return near + (distance > 0).astype(mx.int32) * half


def _rms_norm(x: mx.array, weight: mx.array, eps: float) -> mx.array:
    return mx.fast.rms_norm(x, weight, eps)


def _gelu_new(x: mx.array) -> mx.array:
    return 0.5 * x * (1.0 + mx.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
