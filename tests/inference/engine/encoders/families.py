"""python -m tests.inference.engine.encoders.families FOLDER: tiny models of each kind that encoders serve, with random
weights that are the same everywhere.

Standard library, numpy and `tokenizers` only: `record.py` writes them for transformers to answer with, and the tests
for the engine.
"""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SEED = 7
SPREAD = 0.2
BASE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 130,
    "torch_dtype": "float32",
}
BERT = {**BASE, "model_type": "bert", "hidden_act": "gelu", "type_vocab_size": 2, "pad_token_id": 0}
ROBERTA = {**BASE, "model_type": "xlm-roberta", "hidden_act": "gelu", "type_vocab_size": 1, "pad_token_id": 1}
MODERN = {
    **BASE,
    "model_type": "modernbert",
    "hidden_activation": "gelu",
    "local_attention": 16,
    "global_attn_every_n_layers": 3,
    "pad_token_id": 0,
    "classifier_pooling": "mean",
    "classifier_bias": False,
    "norm_bias": False,
}
QWEN = {
    **BASE,
    "model_type": "qwen3",
    "num_key_value_heads": 2,
    "head_dim": 16,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
}
ONE_LABEL = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}, "num_labels": 1}


@dataclass(frozen=True, slots=True)
class Family:
    architecture: str
    config: dict[str, Any]
    pooling: str = ""  # of an embedding model, as its 1_Pooling says it
    extra: dict[str, Any] = field(default_factory=dict)


FAMILIES = {
    "bert": Family("BertModel", BERT, "pooling_mode_mean_tokens"),
    "xlm-roberta": Family("XLMRobertaModel", ROBERTA, "pooling_mode_cls_token"),
    "modernbert": Family("ModernBertModel", MODERN, "pooling_mode_mean_tokens"),
    "qwen3-embed": Family("Qwen3ForCausalLM", QWEN, "pooling_mode_lasttoken"),
    "bert-rerank": Family("BertForSequenceClassification", BERT, extra=ONE_LABEL),
    "xlm-roberta-rerank": Family("XLMRobertaForSequenceClassification", ROBERTA, extra=ONE_LABEL),
    "modernbert-rerank": Family("ModernBertForSequenceClassification", MODERN, extra=ONE_LABEL),
    "qwen3-rerank": Family("Qwen3ForCausalLM", {**QWEN, "max_position_embeddings": 1024}),
}
TEXTS = [
    "a",
    "a red ball rolls to the right",
    "the very same ball, said at more length: it is red, round, and it rolls to the right over a plain",
    "красный шар",
    "红色的球",
]
PAIRS = [
    ("a red ball", "a"),
    ("a red ball", "the ball is red"),
    ("what rolls?", "a ball that is red, and round, and that rolls to the right over a plain"),
]

# The first of three means what the second does.
SENTENCES = [
    "A cat sits on the mat.",
    "A kitten is resting on a rug.",
    "The stock market fell sharply today.",
    "How do I reset my password?",
    "I forgot my login credentials, what should I do?",
    "Берлин — столица Германии.",
]


def special(name: str) -> list[str]:
    if name.startswith("qwen3"):
        return ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "yes", "no"]
    return ["<s>", "<pad>", "</s>"] if name.startswith("xlm") else ["[PAD]", "[CLS]", "[SEP]"]


def write(name: str, folder: Path, shapes: dict[str, list[int]]) -> None:
    """The checkpoint, as its makers would lay it out."""
    family, tokens = FAMILIES[name], special(name)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(name, tokens)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {**family.config, **family.extra, "architectures": [family.architecture]}
    config |= {"vocab_size": tokenizer.get_vocab_size()}
    if name.startswith("modernbert"):
        config |= {f"{one}_token_id": at for one, at in (("cls", 1), ("bos", 1), ("sep", 2), ("eos", 2))}
    _dump(folder / "config.json", config)
    if family.pooling:
        modules = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
        listed = [
            {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for n, (path, kind) in enumerate(modules)
        ]
        _dump(folder / "modules.json", listed)
        (folder / "1_Pooling").mkdir(exist_ok=True)
        _dump(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32, family.pooling: True})
    if shapes:
        write_weights(folder / "model.safetensors", values(shapes))


def values(shapes: dict[str, list[int]]) -> dict[str, Any]:
    import numpy as np  # noqa: PLC0415 - the tests' own environment has none

    generator = np.random.default_rng(SEED)
    found = {}
    for name in sorted(shapes):
        drawn = (generator.standard_normal(shapes[name]) * SPREAD).astype(np.float32)
        found[name] = drawn + (1 if "norm" in name.lower() and name.endswith("weight") else 0)
    return found


def write_weights(path: Path, tensors: dict[str, Any]) -> None:
    header: dict[str, Any] = {}
    end = 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [end, end + tensor.nbytes]}
        end += tensor.nbytes
    head = json.dumps(header).encode()
    body = b"".join(tensor.astype("<f4").tobytes() for tensor in tensors.values())
    path.write_bytes(len(head).to_bytes(8, "little") + head + body)


def _tokenizer(name: str, tokens: list[str]) -> Any:
    """Every byte is a token."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors  # noqa: PLC0415

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: number for number, word in enumerate([*tokens, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in tokens])
    if name == "qwen3-embed":
        last = [("<|endoftext|>", 0)]
        tokenizer.post_processor = processors.TemplateProcessing("$A <|endoftext|>", None, last)
    elif not name.startswith("qwen3"):
        start, end = (tokens[0], tokens[2]) if name.startswith("xlm") else (tokens[1], tokens[2])
        ids = [(start, vocabulary[start]), (end, vocabulary[end])]
        second = f"{end} $B:0 {end}" if name.startswith("xlm") else f"$B:1 {end}:1"
        tokenizer.post_processor = processors.TemplateProcessing(f"{start} $A {end}", f"{start} $A {end} {second}", ids)
    return tokenizer


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main() -> int:
    answers = json.loads(Path(__file__).with_name("answers.json").read_text(encoding="utf-8"))
    for name in FAMILIES:
        write(name, Path(sys.argv[1]) / name, answers[name]["shapes"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
