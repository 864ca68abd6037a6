"""A demo chat model's folder, as mlx-lm loads it. Writing the same values gives the same bytes."""

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten
from transformers import PreTrainedTokenizerFast

from demo_models.chat import tokenizer
from demo_models.chat.families import CONTEXT, Family
from videos.runtimes.mlx_gen import tensors

TEMPLATE = Path(__file__).with_name("template.jinja")
# 0.25 of a logit for each time a token was said ends answers that go round in circles, within 300 tokens; 0.2 does not.
# Of 231 right answers that copy, count or list, none became another (demo-chat, 2026-12-01).
GREEDY = {"do_sample": True, "temperature": 0.0, "frequency_penalty": 0.25}


class Folder:
    """A checkpoint being made: everything but the weights is written at once."""

    def __init__(self, root: Path, family: Family) -> None:
        self._root, self._family = root, family
        root.mkdir(parents=True, exist_ok=True)
        made = tokenizer.build()
        made.save(str(root / "tokenizer.json"), pretty=False)
        end, pad = (made.get_vocab()[word] for word in (tokenizer.END, tokenizer.PAD))
        self._config = family.config(made.get_vocab_size(), end)
        (root / "chat_template.jinja").write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
        self._dump("config.json", self._config)
        self._dump("tokenizer_config.json", _tokenizer_config())
        self._dump("generation_config.json", {"eos_token_id": [end], "pad_token_id": pad, **GREEDY})
        self._dump("fmlx.json", {"rank": family.rank})
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(root)

    def model(self) -> nn.Module:
        """A new one, with MLX's random start values."""
        return self._family.model(self._config)

    def save(self, model: nn.Module) -> None:
        """Store the weights in bfloat16."""
        values = dict(tree_flatten(model.parameters()))
        packed = {name: ("BF16", value.shape, _bytes(value)) for name, value in values.items()}
        tensors.write(self._root / "model.safetensors", packed)

    def _dump(self, name: str, value: dict[str, Any]) -> None:
        (self._root / name).write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _bytes(value: mx.array) -> bytes:
    return bytes(np.array(value.astype(mx.bfloat16).view(mx.uint16)).data)


def _tokenizer_config() -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": tokenizer.END,
        "pad_token": tokenizer.PAD,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
    }
