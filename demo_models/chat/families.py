"""The demo chat models, one of each kind of cache there is: one that grows, one that keeps a state, one that keeps a
window. They are equally wide, so that the second and the third can begin with what the first has learned."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from mlx import nn

Json = dict[str, Any]
CONTEXT = 4096  # tokens; they were taught with far shorter ones, and an answer that does not end ends here
ROTATION = 10000.0
SHARED: Json = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "intermediate_size": 384,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 48,
    "rms_norm_eps": 1e-6,
    "rope_theta": ROTATION,
    "hidden_act": "silu",
    "attention_bias": False,
    "bos_token_id": None,
    "max_position_embeddings": CONTEXT,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
}


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    architecture: str
    model_type: str
    rank: int  # among the models to choose from: below 0 for demos
    shape: Json

    def config(self, vocabulary: int, end: int) -> Json:
        named = {"architectures": [self.architecture], "model_type": self.model_type}
        return SHARED | self.shape | named | {"vocab_size": vocabulary, "eos_token_id": end}

    def model(self, config: Json) -> nn.Module:
        """A new one, with MLX's random start values."""
        module = import_module(f"mlx_lm.models.{self.model_type}")
        found = module.Model(module.ModelArgs.from_dict(config))
        found.sanitize({})  # Gemma learns from it that there is no second table of words
        return found


CHAT = Family("demo-chat", "Qwen3ForCausalLM", "qwen3", -1, {})
HYBRID = Family(
    "demo-hybrid",
    "Qwen3NextForCausalLM",
    "qwen3_next",
    -2,
    {
        "full_attention_interval": 2,
        "partial_rotary_factor": 1.0,
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 4,
        "linear_key_head_dim": 32,
        "linear_value_head_dim": 64,
        "linear_conv_kernel_dim": 4,
        "num_experts": 0,
        "num_experts_per_tok": 0,
        "decoder_sparse_step": 1,
        "shared_expert_intermediate_size": 0,
        "mlp_only_layers": [],
        "moe_intermediate_size": 0,
        "norm_topk_prob": True,
        "rope_scaling": None,
    },
)
SWA = Family(
    "demo-swa",
    "Gemma3ForCausalLM",
    "gemma3_text",
    -2,
    {
        "hidden_act": "gelu_pytorch_tanh",
        "sliding_window": 32,
        "sliding_window_pattern": 2,
        "rope_local_base_freq": ROTATION,
        "query_pre_attn_scalar": 48,
        "rope_traditional": False,
    },
)
