"""The folders of the demo models for texts: a BERT in small, as sentence-transformers lays them out.

Writing the same values gives the same bytes.
"""

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from demo_models.grammar import TRAINED
from demo_models.texts import meanings
from inference.engine.encoder.checkpoint import Plan, plan
from inference.engine.encoder.networks import HEAD_NAMES, Network
from videos.runtimes.mlx_gen import tensors

PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL = (PAD, UNKNOWN, START, END)
VOCABULARY, SAMPLES, SEED = 1200, 4000, 3
WINDOW = 256  # tokens; it was taught with far shorter ones
SHAPE: dict[str, Any] = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "max_position_embeddings": WINDOW,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "torch_dtype": "float32",
}
ONE_LABEL = {"id2label": {"0": "same meaning"}, "label2id": {"same meaning": 0}, "num_labels": 1}
DEMO = {"rank": -1}
LICENSE = Path(__file__).resolve().parent.parent.parent / "LICENSE"  # a text that does not change


def make(root: Path, *, scores: bool) -> tuple[Network, Tokenizer]:
    """Everything but the weights; `scores`: a reranker, not an embedding model."""
    root.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer()
    tokenizer.save(str(root / "tokenizer.json"), pretty=False)
    kind = "BertForSequenceClassification" if scores else "BertModel"
    config = {**SHAPE, "model_type": "bert", "architectures": [kind], "vocab_size": tokenizer.get_vocab_size()}
    _dump(root / "config.json", config | (ONE_LABEL if scores else {}))
    _dump(root / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": WINDOW})
    _dump(root / "fmlx.json", DEMO)
    if not scores:
        _describe_pooling(root)
    return Network(_plan(root), json.loads((root / "config.json").read_text())), tokenizer


def save(root: Path, network: Network) -> None:
    """Store the weights by the names that transformers has for them."""
    names = {new: old for old, new in HEAD_NAMES["bert"].items()}
    packed = {}
    for name, value in tree_flatten(network.parameters()):
        part, _, inner = name.partition(".")
        if part == "head":
            new = next(one for one in names if inner.startswith(one))
            stored = names[new] + inner.removeprefix(new)
            stored = f"bert.{stored}" if stored.startswith("pooler") else stored
        else:
            stored = f"bert.{inner}" if network.head is not None else inner
        packed[stored] = ("F32", value.shape, _bytes(value))
    tensors.write(root / "model.safetensors", dict(sorted(packed.items())))


def build_tokenizer() -> Tokenizer:
    """Made anew; the same bytes every time."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(word, special=True, normalized=False) for word in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(), trainer)
    ends = [(START, tokenizer.token_to_id(START)), (END, tokenizer.token_to_id(END))]
    tokenizer.post_processor = processors.TemplateProcessing(
        f"{START} $A {END}", f"{START} $A {END} $B:1 {END}:1", ends
    )
    return tokenizer


def _texts() -> Iterator[str]:
    chance = random.Random(SEED)  # noqa: S311  reproducible, not secret
    yield LICENSE.read_text(encoding="utf-8")
    for _ in range(SAMPLES):
        yield meanings.wording(chance.choice(TRAINED), chance)


def _describe_pooling(root: Path) -> None:
    modules = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    _dump(
        root / "modules.json",
        [
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for number, (path, kind) in enumerate(modules)
        ],
    )
    (root / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": SHAPE["hidden_size"], "pooling_mode_mean_tokens": True}
    _dump(root / "1_Pooling" / "config.json", pooling)
    _dump(root / "sentence_bert_config.json", {"max_seq_length": WINDOW, "do_lower_case": False})


def _plan(root: Path) -> Plan:
    found = plan(root, json.loads((root / "config.json").read_text()))
    if found is None:
        raise ValueError(f"{root} is no model for texts.")
    return found


def _bytes(value: mx.array) -> bytes:
    return bytes(np.array(value.astype(mx.float32)).data)


def _dump(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
