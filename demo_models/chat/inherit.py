"""What demo-chat has learned, as the start values of a model of another family: the same numbers where the two compute
the same, and what is nearest to them where they do not."""

from collections.abc import Mapping

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten

Weights = dict[str, mx.array]
GELU = 1.702  # silu(x) is nearly GELU times gelu(x / GELU) (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016)


def hybrid(weights: Weights, model: nn.Module, heads: int, seed: int) -> Weights:
    """For a Qwen3-Next: half of the attention becomes a recurrence, which knows nothing yet; the rest has gates, which
    all let one half through."""
    found = _drawn(model, seed)
    for name, value in weights.items():
        if name.endswith("self_attn.q_proj.weight") and name in found:
            rows = value.reshape(heads, -1, value.shape[1])
            found[name] = mx.concatenate([rows, mx.zeros_like(rows)], axis=1).reshape(-1, value.shape[1])
        elif name in found:
            found[name] = value * 2 if name.endswith("self_attn.o_proj.weight") else value
    return found


def _drawn(model: nn.Module, seed: int) -> Weights:
    """Random matrices. States are forgotten in a token up to in a few hundred."""
    rng = np.random.default_rng(seed)
    found = {}
    for name, value in sorted(tree_flatten(model.parameters())):
        if name.endswith("A_log"):
            drawn = np.log(np.geomspace(0.01, 8, value.size))
        elif name.endswith("conv1d.weight"):
            drawn = rng.uniform(-0.5, 0.5, value.shape)
        else:
            drawn = (
                rng.standard_normal(value.shape) * value.shape[1] ** -0.5 if value.ndim > 1 else np.ones(value.shape)
            )
        found[name] = mx.array(drawn.astype(np.float32))
    return found


def sliding(weights: Weights, sizes: Mapping[str, float]) -> Weights:
    """For a Gemma 3: what a part of a layer adds to the stream always has one size there, which `sizes` gives by the
    part's name, as a root mean square."""
    width = weights["model.norm.weight"].size
    scale = float(mx.array(width**0.5, mx.bfloat16))
    found = {}
    for name, value in weights.items():
        layer = name.rpartition(".layers.")[2].partition(".")[0]
        if name.endswith("embed_tokens.weight"):
            found[name] = value / scale
        elif name == "model.norm.weight":
            found[name] = value * scale - 1
        elif name.endswith("mlp.gate_proj.weight"):
            found[name] = value / GELU
        elif name.endswith("post_attention_layernorm.weight"):
            prefix = f"model.layers.{layer}"
            found[f"{prefix}.pre_feedforward_layernorm.weight"] = value - 1
            found[name] = mx.full(value.shape, sizes[f"{prefix}.self_attn"] - 1)
            found[f"{prefix}.post_feedforward_layernorm.weight"] = mx.full(value.shape, sizes[f"{prefix}.mlp"] - 1)
        elif value.ndim == 1:
            found[name] = value - 1
        else:
            found[name] = value
    return found
