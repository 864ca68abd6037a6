"""The folders of the demo models for texts: a BERT in small, as sentence-transformers lays them out.

Writing one again gives the same bytes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo_models.texts import circuit, vocabulary
from videos.runtimes.mlx_gen import tensors

WINDOW = 256  # tokens
SHAPE: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": circuit.WIDTH,
    "num_attention_heads": 1,
    "intermediate_size": 16,
    "max_position_embeddings": WINDOW,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "torch_dtype": "float32",
}
ONE_LABEL = {"id2label": {"0": "same meaning"}, "label2id": {"same meaning": 0}, "num_labels": 1}
DEMO = {"rank": -1}
MODULES = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))


def write(root: Path, *, scores: bool) -> None:
    """`scores`: a reranker, not a model that makes vectors."""
    root.mkdir(parents=True, exist_ok=True)
    tokenizer = vocabulary.build()
    tokenizer.save(str(root / "tokenizer.json"), pretty=False)
    config = SHAPE | {"vocab_size": tokenizer.get_vocab_size(), "num_hidden_layers": 2 if scores else 1}
    config |= {"architectures": ["BertForSequenceClassification" if scores else "BertModel"]}
    _dump(root / "config.json", config | (ONE_LABEL if scores else {}))
    _dump(root / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": WINDOW})
    _dump(root / "fmlx.json", DEMO)
    if not scores:
        _describe_pooling(root)
    written = circuit.reranker if scores else circuit.embedding
    weights = written(vocabulary.meanings_of(tokenizer), config, tokenizer.get_vocab()[vocabulary.START])
    packed = {name: ("F32", value.shape, value.tobytes()) for name, value in weights.items()}
    tensors.write(root / "model.safetensors", packed)


def _describe_pooling(root: Path) -> None:
    listed = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(MODULES)
    ]
    _dump(root / "modules.json", listed)
    (root / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": circuit.WIDTH, "pooling_mode_mean_tokens": True}
    _dump(root / "1_Pooling" / "config.json", pooling)


def _dump(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
