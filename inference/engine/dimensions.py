"""A model's dimensions as its config.json gives them, under any of the names in use. No MLX here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NESTED = ("text_config", "language_config", "llm_config")
NAMES: dict[str, tuple[str, ...]] = {
    "hidden": ("hidden_size", "n_embd", "d_model", "dim"),
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads", "num_query_groups"),
    "intermediate": ("intermediate_size", "n_inner", "ffn_dim", "d_ff", "ffn_hidden_size", "hidden_dim"),
    "vocab": ("vocab_size", "padded_vocab_size", "n_vocab"),
    "context": ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx", "seq_length", "max_sequence_length"),
    "experts_used": ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts"),
    "expert_size": ("moe_intermediate_size", "expert_ffn_hidden_size", "moe_ffn_hidden_size"),
    "experts": ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"),
}
DEFAULT_CONTEXT = 4096  # for the few configurations that do not say
MLP_RATIO = 4  # "Attention Is All You Need" 3.3; GPT-2 leaves n_inner out and means this


@dataclass(frozen=True, slots=True)
class Dimensions:
    """`kv_values`: numbers cached per token in one attending layer. `intermediate`: of the experts one token uses.
    `state_values`: numbers one recurrent layer keeps. `linear`: width of what a recurrent layer makes per token.
    `scored`: an attending layer comes before the last one, whose attention filling a cache does not need.
    """

    hidden: int
    layers: int
    heads: int
    head_dim: int
    intermediate: int
    vocab: int
    context: int
    kv_values: int
    full_layers: int
    window_layers: int = 0
    window: int = 0
    recurrent_layers: int = 0
    state_values: int = 0
    linear: int = 0
    scored: bool = True


def text_part(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a configuration that is about text, the outer names filling what the inner one leaves out."""
    for name in NESTED:
        if isinstance(inner := config.get(name), dict):
            return text_part({**{key: value for key, value in config.items() if key not in NESTED}, **inner})
    return config


def read(config: Mapping[str, Any]) -> Dimensions:
    """Raises KeyError, with the name, when even the hidden size, the layers or the heads are not there."""
    config = text_part(config)
    hidden, layers, heads = (_need(config, name) for name in ("hidden", "layers", "heads"))
    head_dim = _whole(config.get("head_dim")) or hidden // heads
    full, window, recurrent = _layer_kinds(config, layers)
    return Dimensions(
        hidden=hidden,
        layers=layers,
        heads=heads,
        head_dim=head_dim,
        intermediate=_intermediate(config, hidden),
        vocab=_find(config, "vocab") or 0,
        context=_find(config, "context") or DEFAULT_CONTEXT,
        kv_values=_kv_values(config, heads, head_dim),
        full_layers=full,
        window_layers=window,
        window=(_whole(config.get("sliding_window")) or 0) if window else 0,
        recurrent_layers=recurrent,
        state_values=_state_values(config) if recurrent else 0,
        linear=_linear(config, hidden) if recurrent else 0,
    )


def _whole(value: Any) -> int | None:
    """A number; of a list (one per layer) the largest."""
    if isinstance(value, list):
        return max((item for item in value if isinstance(item, int)), default=None)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _find(config: Mapping[str, Any], what: str) -> int | None:
    return next((found for name in NAMES[what] if (found := _whole(config.get(name)))), None)


def _need(config: Mapping[str, Any], what: str) -> int:
    if (found := _find(config, what)) is None:
        raise KeyError(NAMES[what][0])
    return found


def _intermediate(config: Mapping[str, Any], hidden: int) -> int:
    dense = _find(config, "intermediate") or MLP_RATIO * hidden
    if not _find(config, "experts"):
        return dense
    used = _find(config, "experts_used") or 1
    expert = _find(config, "expert_size") or dense
    shared = (
        _whole(config.get("shared_expert_intermediate_size")) or (_whole(config.get("n_shared_experts")) or 0) * expert
    )
    return max(dense, used * expert + shared)


def _kv_values(config: Mapping[str, Any], heads: int, head_dim: int) -> int:
    if rank := _whole(config.get("kv_lora_rank")):  # multi-head latent attention keeps the latent and the rotary part
        return rank + (_whole(config.get("qk_rope_head_dim")) or 0)
    default = 1 if config.get("multi_query") else heads
    value_dim = _whole(config.get("v_head_dim")) or head_dim
    return (_find(config, "kv_heads") or default) * (head_dim + value_dim)


def _layer_kinds(config: Mapping[str, Any], layers: int) -> tuple[int, int, int]:
    """How many layers attend to everything, to a window, and are recurrent."""
    if isinstance(types := config.get("layer_types"), list):
        window = sum("sliding" in str(kind) or "chunked" in str(kind) for kind in types)
        full = sum("full" in str(kind) or str(kind) == "attention" for kind in types)
        return full, window, layers - window - full
    if isinstance(pattern := config.get("hybrid_override_pattern"), str):
        return pattern.count("*"), 0, pattern.count("M")
    if every := _whole(config.get("full_attention_interval")):
        return layers // every, 0, layers - layers // every
    if _whole(config.get("sliding_window")) and config.get("use_sliding_window", True):
        every = _whole(config.get("sliding_window_pattern")) or 0
        full = layers // every if every else 0
        return full, layers - full, 0
    return layers, 0, 0


def _state_values(config: Mapping[str, Any]) -> int:
    if heads := _whole(config.get("linear_num_value_heads")):  # gated delta networks: Qwen3-Next
        keys = _whole(config.get("linear_key_head_dim")) or 0
        return heads * keys * (_whole(config.get("linear_value_head_dim")) or 0) + _convolution(config)
    heads = _whole(config.get("mamba_num_heads")) or _whole(config.get("mamba_n_heads")) or 0
    width = _whole(config.get("mamba_head_dim")) or _whole(config.get("mamba_d_head")) or 0
    return heads * width * (_whole(config.get("ssm_state_size")) or _whole(config.get("mamba_d_state")) or 0)


def _convolution(config: Mapping[str, Any]) -> int:
    keys = (_whole(config.get("linear_num_key_heads")) or 0) * (_whole(config.get("linear_key_head_dim")) or 0)
    values = (_whole(config.get("linear_num_value_heads")) or 0) * (_whole(config.get("linear_value_head_dim")) or 0)
    return ((_whole(config.get("linear_conv_kernel_dim")) or 1) - 1) * (2 * keys + values)


def _linear(config: Mapping[str, Any], hidden: int) -> int:
    values = _whole(config.get("linear_num_value_heads")) or 0
    keys = _whole(config.get("linear_key_head_dim")) or 0
    return max(values * (2 * keys + 2 * (_whole(config.get("linear_value_head_dim")) or 0)), 2 * hidden)
