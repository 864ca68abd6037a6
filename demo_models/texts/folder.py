"""The folders of the demo models for texts: a BERT in small, as sentence-transformers lays them out.

Writing the same values gives the same bytes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mlx.utils import tree_flatten

from demo_models.texts import vocabulary
from inference.engine.encoder import checkpoint
from inference.engine.encoder.networks import Network
from inference.engine.encoder.texts import Texts
from videos.runtimes.mlx_gen import tensors

WIDTH = 128
WINDOW = 256  # tokens
SHAPE: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": WIDTH,
    "num_hidden_layers": 1,
    "max_position_embeddings": WINDOW,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "torch_dtype": "float32",
}
EMBED = {"architectures": ["BertModel"], "intermediate_size": 32, "num_attention_heads": 1}
RERANK = {
    "architectures": ["BertForSequenceClassification"],
    "intermediate_size": 128,
    "num_attention_heads": 2,
    "id2label": {"0": "same meaning"},
    "label2id": {"same meaning": 0},
    "num_labels": 1,
}
PREFIX = "bert."
HEAD = {"dense": f"{PREFIX}pooler.dense", "out": "classifier"}
FAINT = 0.1  # of a random word, beside what all texts' tokens have in common
TOKENIZER = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": WINDOW}
DEMO = {"rank": -1}
MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))


class Folder:
    """A checkpoint being made: everything but the weights is written at once."""

    def __init__(self, root: Path, kind: Mapping[str, Any]) -> None:
        """`kind`: EMBED or RERANK."""
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        tokenizer = vocabulary.build()
        tokenizer.save(str(root / "tokenizer.json"), pretty=False)
        self._config = {**SHAPE, **kind, "vocab_size": tokenizer.get_vocab_size()}
        _dump(root / "config.json", self._config)
        _dump(root / "tokenizer_config.json", TOKENIZER)
        _dump(root / "fmlx.json", DEMO)
        if kind is EMBED:
            self._describe_pooling()
        found = checkpoint.plan(root, self._config)
        assert found is not None  # noqa: S101 - it was just written
        self._plan = found
        self.texts = Texts(tokenizer, found, tokenizer.get_vocab_size(), WINDOW)

    def network(self) -> Network:
        """A new one, as the engine has it, with MLX's random values. It cannot learn where a word stands, and a word
        that it never sees stays faint."""
        network = Network(self._plan, self._config)
        network.eval()  # nothing is left out by chance
        embeddings: Any = network.body.embeddings
        embeddings.word_embeddings.weight *= FAINT
        embeddings.position_embeddings.weight *= 0
        embeddings.position_embeddings.freeze()
        return network

    def save(self, network: Network) -> None:
        """In float32, by the names that transformers gives them."""
        found = dict(tree_flatten(network.body.parameters()))
        if network.head is not None:
            found = {f"{PREFIX}{name}": value for name, value in found.items()}
            for name, value in tree_flatten(network.head.parameters()):
                layer, _, kind = name.partition(".")
                found[f"{HEAD[layer]}.{kind}"] = value
        packed = {name: ("F32", value.shape, np.array(value).tobytes()) for name, value in sorted(found.items())}
        tensors.write(self._root / "model.safetensors", packed)

    def _describe_pooling(self) -> None:
        listed = [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for number, (path, kind) in enumerate(MODULES)
        ]
        _dump(self._root / "modules.json", listed)
        (self._root / "1_Pooling").mkdir(exist_ok=True)
        pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True}
        _dump(self._root / "1_Pooling" / "config.json", pooling)


def _dump(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
