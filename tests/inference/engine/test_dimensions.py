"""A model's dimensions are found under every name in use."""

from typing import Any

import pytest

from inference.engine.dimensions import read

LLAMA = {
    "hidden_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
GPT2 = {"n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257, "n_positions": 1024}
DEEPSEEK = LLAMA | {
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
    "n_routed_experts": 256,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 2048,
    "n_shared_experts": 1,
}
NEXT = LLAMA | {
    "num_hidden_layers": 48,
    "full_attention_interval": 4,
    "linear_num_value_heads": 32,
    "linear_num_key_heads": 16,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_conv_kernel_dim": 4,
}
NEMOTRON = LLAMA | {
    "hybrid_override_pattern": "M-M*-M-",
    "mamba_num_heads": 64,
    "mamba_head_dim": 64,
    "ssm_state_size": 128,
}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LLAMA, {"kv_values": 2 * 8 * 128, "full_layers": 32, "intermediate": 14336, "context": 131072}),
        ({"text_config": LLAMA, "vision_config": {"hidden_size": 1}}, {"hidden": 4096, "full_layers": 32}),
        ({"language_config": {"llm_config": LLAMA}}, {"hidden": 4096, "kv_values": 2048}),
        ({"vocab_size": 7, "text_config": {**LLAMA, "vocab_size": 9}}, {"vocab": 9}),
        (GPT2, {"kv_values": 2 * 768, "intermediate": 4 * 768, "context": 1024, "vocab": 50257}),
        (GPT2 | {"multi_query": True}, {"kv_values": 2 * 64}),
        (GPT2 | {"n_inner": None, "num_kv_heads": 4}, {"kv_values": 2 * 4 * 64, "intermediate": 3072}),
        (LLAMA | {"head_dim": 256}, {"head_dim": 256, "kv_values": 2 * 8 * 256}),
        (DEEPSEEK, {"kv_values": 576, "intermediate": 8 * 2048 + 2048}),
        (LLAMA | {"num_local_experts": 8, "num_experts_per_tok": 2}, {"intermediate": 2 * 14336}),
        (NEXT, {"full_layers": 12, "recurrent_layers": 36, "state_values": 32 * 128 * 128 + 3 * (4096 + 4096)}),
        (NEMOTRON, {"full_layers": 1, "recurrent_layers": 3, "state_values": 64 * 64 * 128}),
        (LLAMA | {"sliding_window": 512, "sliding_window_pattern": 8}, {"full_layers": 4, "window_layers": 28}),
        (LLAMA | {"sliding_window": 512, "use_sliding_window": False}, {"full_layers": 32, "window": 0}),
        (
            LLAMA | {"sliding_window": 512, "layer_types": ["sliding_attention", "full_attention"] * 16},
            {"full_layers": 16, "window_layers": 16, "window": 512},
        ),
        (LLAMA | {"intermediate_size": [1024, 2048]}, {"intermediate": 2048}),
    ],
)
def test_what_is_read(config: dict[str, Any], expected: dict[str, int]) -> None:
    found = read(config)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize("name", ["hidden_size", "num_hidden_layers", "num_attention_heads"])
def test_without_the_least_of_them_nothing_can_be_said(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        read({key: value for key, value in LLAMA.items() if key != name})
