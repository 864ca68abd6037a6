"""The four kinds of network, from mlx-embeddings: token ids to a state for each token; and what makes scores of states.

mlx-embeddings' own `load` is not used: it takes the pooling from nothing, adds dimensions of a Dense module to the
network, and imports the package that reads pictures. Its networks are.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
from mlx import nn

from inference.engine.encoder.checkpoint import Plan
from memory.protocol import WorkerFailed

Weights = dict[str, mx.array]
PREFIXES = {"bert": "bert.", "xlm_roberta": "roberta.", "modernbert": "model.", "qwen3": "model."}
FAMILY_CLASSES = {"modernbert": "ModernBertModel", "qwen3": "Qwen3Model"}  # the others are whole in `Model`
UNUSED = ("cls.", "decoder.", "pooler.")  # what a language model predicts words with
FAR = -1e4  # as mlx-embeddings has it for BERT: far enough below any score, and a number in half precision


class Network(nn.Module):  # type: ignore[misc]  # MLX has no types
    """`body` makes the states; `head`, where there is one, the scores."""

    def __init__(self, plan: Plan, config: Mapping[str, Any]) -> None:
        super().__init__()
        self._plan = plan
        self.body, self._first_position = _body(plan.family, config)
        self.head = HEAD_OF[plan.family](config) if plan.head == "classifier" else None
        self.words = PlainHead(config, int(config["vocab_size"])) if _has_own_words(plan, config) else None

    def states(self, ids: mx.array, types: mx.array, mask: mx.array) -> mx.array:
        """[B, L] int32 twice and float32, 1 where there is a token, and padding only at the end: [B, L, H]."""
        body: Any = self.body
        match self._plan.family:
            case "bert":
                return mx.array(body.encoder(body.embeddings(ids, types), _shut(mask)))
            case "xlm_roberta":
                at = mx.broadcast_to(mx.arange(ids.shape[1])[None] + self._first_position, ids.shape)
                return mx.array(body.encoder(body.embeddings(ids, None, at), _shut(mask))[0])
            case "modernbert":
                return mx.array(body(ids, attention_mask=mask, return_dict=True)["last_hidden_state"])
        return mx.array(body(ids, attention_mask=mask))

    def scores(self, pooled: mx.array, yes_no: tuple[int, int]) -> mx.array:
        """[B, H] to [B], before the sigmoid."""
        if self.head is not None:
            return mx.array(self.head(pooled)[:, 0])
        body: Any = self.body
        logits = self.words(pooled) if self.words is not None else body.embed_tokens.as_linear(pooled)
        return mx.array(logits[:, yes_no[0]] - logits[:, yes_no[1]])

    def fill(self, weights: Weights, quantization: Mapping[str, Any] | None) -> None:
        """Raises ValueError when the weights are not those of this network."""
        body, head, words = _sort(weights, self._plan.family)
        _load(self.body, body, quantization)
        if self.head is not None:
            _load(self.head, head, quantization)
        if self.words is not None:
            _load(self.words, words, quantization)


class BertHead(nn.Module):  # type: ignore[misc]  # MLX has no types
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        size = int(config["hidden_size"])
        self.dense, self.out = nn.Linear(size, size), nn.Linear(size, 1)

    def __call__(self, pooled: mx.array) -> mx.array:
        return mx.array(self.out(mx.tanh(self.dense(pooled))))


class ModernHead(nn.Module):  # type: ignore[misc]  # MLX has no types
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        family = _module("modernbert")
        self.dense = family.ModernBertPredictionHead(family.ModelArgs.from_dict(config))
        self.dense.act = nn.GELU()
        self.out = nn.Linear(int(config["hidden_size"]), 1)

    def __call__(self, pooled: mx.array) -> mx.array:
        return mx.array(self.out(self.dense(pooled)))


class PlainHead(nn.Module):  # type: ignore[misc]  # MLX has no types
    def __init__(self, config: Mapping[str, Any], outputs: int = 1) -> None:
        super().__init__()
        self.out = nn.Linear(int(config["hidden_size"]), outputs, bias=False)

    def __call__(self, pooled: mx.array) -> mx.array:
        return mx.array(self.out(pooled))


HEAD_OF: dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {
    "bert": BertHead,
    "xlm_roberta": BertHead,
    "modernbert": ModernHead,
    "qwen3": PlainHead,
}
# What the weights of a head are called in the checkpoint and here.
HEAD_NAMES = {
    "bert": {"pooler.dense.": "dense.", "classifier.": "out."},
    "xlm_roberta": {"classifier.dense.": "dense.", "classifier.out_proj.": "out."},
    "modernbert": {"head.": "dense.", "classifier.": "out."},
    "qwen3": {"score.": "out."},
}


def build(folder: Path, plan: Plan, config: Mapping[str, Any]) -> Network:
    """Its weights are not read yet. Raises WorkerFailed model_unusable."""
    config = plain(config)
    weights: Weights = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights |= mx.load(str(file))
    try:
        network = Network(plan, config)
        network.fill(weights, config.get("quantization") or config.get("quantization_config"))
    except (KeyError, TypeError, ValueError) as error:
        raise WorkerFailed("model_unusable", f"{folder.name} cannot be loaded: {error}") from error
    network.eval()
    return network


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """With the names that mlx-embeddings reads: transformers 5 writes rotary bases into `rope_parameters`."""
    rope = config.get("rope_parameters") or {}
    found = dict(config)
    if config.get("model_type") in ("xlm-roberta", "roberta"):
        found.setdefault("layer_norm_eps", 1e-12)  # transformers' default, which mlx-embeddings does not share
    for name, part in (("global_rope_theta", "full_attention"), ("local_rope_theta", "sliding_attention")):
        if isinstance(rope.get(part), dict):
            found.setdefault(name, rope[part].get("rope_theta"))
    if isinstance(rope.get("rope_theta"), int | float):
        found.setdefault("rope_theta", rope["rope_theta"])
    return found


def _body(family: str, config: Mapping[str, Any]) -> tuple[nn.Module, int]:
    """And the position of the first token."""
    module = _module(family)
    arguments = module.ModelArgs.from_dict({**config, "model_type": family})
    if name := FAMILY_CLASSES.get(family):
        body = getattr(module, name)(arguments)
        if family == "modernbert":
            for layer in body.layers:
                layer.mlp.act = nn.GELU()  # mlx-embeddings has the approximation by tanh
        return body, 0
    body = module.Model(arguments)
    body.pooler = None  # part of the head, where there is one
    return body, int(config.get("pad_token_id") or 0) + 1 if family == "xlm_roberta" else 0


def _module(family: str) -> ModuleType:
    """Of mlx-embeddings, without what the package itself imports: its readers of pictures."""
    if "mlx_embeddings" not in sys.modules and (spec := find_spec("mlx_embeddings")):
        package = ModuleType("mlx_embeddings")
        package.__path__ = list(spec.submodule_search_locations or ())
        sys.modules["mlx_embeddings"] = package
    return import_module(f"mlx_embeddings.models.{family}")


def _shut(mask: mx.array) -> mx.array:
    return (1.0 - mask[:, None, None, :]) * FAR


def _has_own_words(plan: Plan, config: Mapping[str, Any]) -> bool:
    return plan.head == "words" and not config.get("tie_word_embeddings", True)


def _sort(weights: Weights, family: str) -> tuple[Weights, Weights, Weights]:
    """Those of the body, the head and the words, by the names that they have here."""
    body: Weights = {}
    head: Weights = {}
    words: Weights = {}
    for name, value in weights.items():
        inner = name.removeprefix(PREFIXES[family])
        old = next((old for old in HEAD_NAMES[family] if inner.startswith(old)), None)
        if old:
            head[HEAD_NAMES[family][old] + inner.removeprefix(old)] = value
        elif inner.startswith("lm_head."):
            words[inner.replace("lm_head.", "out.", 1)] = value
        elif not inner.startswith(UNUSED) and "position_ids" not in inner:
            body[inner] = value
    return body, head, words


def _load(module: nn.Module, weights: Weights, quantization: Mapping[str, Any] | None) -> None:
    if quantization and any(name.endswith(".scales") or name == "scales" for name in weights):
        nn.quantize(
            module,
            group_size=int(quantization["group_size"]),
            bits=int(quantization["bits"]),
            mode=str(quantization.get("mode", "affine")),
            class_predicate=lambda path, _module: f"{path}.scales" in weights,
        )
    module.load_weights(list(weights.items()))
