"""A demo chat model's folder, as mlx-lm loads it. Writing the same values gives the same bytes."""

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten
from mlx_lm.models import qwen3
from transformers import PreTrainedTokenizerFast

from demo_models.chat import tokenizer
from videos.runtimes.mlx_gen import tensors

TEMPLATE = Path(__file__).with_name("template.jinja")
SHAPE: dict[str, Any] = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "intermediate_size": 384,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 48,
}
CONTEXT = 4096  # tokens; it was taught with far shorter ones, and an answer that does not end ends here
# 0.15 of a logit for each time a token was said ends answers that go round in circles; of 60 right answers that
# count, repeat or list, none became another (0.3 cut one short).
GREEDY = {"do_sample": True, "temperature": 0.0, "frequency_penalty": 0.15}
DEMO = {"rank": -1}


class Folder:
    """A checkpoint being made: everything but the weights is written at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        made = tokenizer.build()
        made.save(str(root / "tokenizer.json"), pretty=False)
        end, pad = (made.get_vocab()[word] for word in (tokenizer.END, tokenizer.PAD))
        self._config = _config(made.get_vocab_size(), end)
        (root / "chat_template.jinja").write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
        self._dump("config.json", self._config)
        self._dump("tokenizer_config.json", _tokenizer_config())
        self._dump("generation_config.json", {"eos_token_id": [end], "pad_token_id": pad, **GREEDY})
        self._dump("fmlx.json", DEMO)
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(root)

    def model(self) -> nn.Module:
        """A new one, with MLX's random start values."""
        return qwen3.Model(qwen3.ModelArgs.from_dict(self._config))

    def save(self, model: nn.Module) -> None:
        """Store the weights in bfloat16."""
        values = dict(tree_flatten(model.parameters()))
        packed = {name: ("BF16", value.shape, _bytes(value)) for name, value in values.items()}
        tensors.write(self._root / "model.safetensors", packed)

    def _dump(self, name: str, value: dict[str, Any]) -> None:
        (self._root / name).write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _bytes(value: mx.array) -> bytes:
    return bytes(np.array(value.astype(mx.bfloat16).view(mx.uint16)).data)


def _config(vocabulary: int, end: int) -> dict[str, Any]:
    return SHAPE | {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": vocabulary,
        "eos_token_id": end,
        "bos_token_id": None,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "attention_bias": False,
        "max_position_embeddings": CONTEXT,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    }


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": tokenizer.END,
        "pad_token": tokenizer.PAD,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
    }
