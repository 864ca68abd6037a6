"""demo-chat as a teacher: what each part of it is asked and answers."""

import json
from collections.abc import Iterator
from typing import Any

import mlx.core as mx

from demo_models import shipped
from demo_models.chat.families import CHAT

FOLDER = shipped.WEIGHTS / CHAT.name


class Teacher:
    def __init__(self) -> None:
        stored = mx.load(str(FOLDER / "model.safetensors"))
        self.weights = {name: value.astype(mx.float32) for name, value in stored.items()}
        self._model: Any = CHAT.model(json.loads((FOLDER / "config.json").read_text(encoding="utf-8")))
        self._model.load_weights(list(self.weights.items()))

    @property
    def heads(self) -> int:
        return int(self._model.args.num_attention_heads)

    def parts(self, tokens: mx.array) -> Iterator[tuple[str, mx.array, mx.array]]:
        """Name, states that it is asked for and states that it adds, [B, T, D]."""
        stream = self._model.model.embed_tokens(tokens)
        for number, layer in enumerate(self._model.layers):
            asked = layer.input_layernorm(stream)
            answered = layer.self_attn(asked, "causal")
            yield f"model.layers.{number}.self_attn", asked, answered
            asked = layer.post_attention_layernorm(stream + answered)
            stream, answered = stream + answered, layer.mlp(asked)
            yield f"model.layers.{number}.mlp", asked, answered
            stream = stream + answered
