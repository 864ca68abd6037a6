"""The shapes of the demo chat models."""

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
        return module.Model(module.ModelArgs.from_dict(config))


CHAT = Family("demo-chat", "Qwen3ForCausalLM", "qwen3", -1, {})
