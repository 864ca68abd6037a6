"""What a folder says of itself: does it make vectors or scores of texts, and how? Without Django.

Pooling and length are those of the sentence-transformers files beside the weights (`modules.json`, `1_Pooling`,
`sentence_bert_config.json`). Without them it is what that library does without them: the mean, and for Qwen3, which has
no bidirectional attention, the last token.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from inference.engine.unserved import Unserved
from memory.marking import gettext_noop as _

Task = Literal["embedding", "rerank"]
Pooling = Literal["mean", "cls", "last"]
Json = dict[str, Any]

FAMILIES = {
    "bert": "bert",
    "xlm-roberta": "xlm_roberta",
    "roberta": "xlm_roberta",  # the same network with another vocabulary
    "modernbert": "modernbert",
    "qwen3": "qwen3",
}
ACTIVATIONS = ("gelu",)  # of the encoders in mlx-embeddings 0.1.0
POOLINGS: dict[str, Pooling] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
}
NAMED_POOLINGS: dict[str, Pooling] = {"cls": "cls", "mean": "mean", "lasttoken": "last", "last": "last"}
KNOWN_MODULES = ("Transformer", "Pooling", "Normalize")
NO_LIMIT = 2**31  # transformers writes a huge number for a tokenizer without one
DOT = ("dot", "dot_product")


@dataclass(frozen=True, slots=True)
class Plan:
    """`window` counts tokens of one input, special ones included; `width` is a vector's length. `head` is what makes a
    score of a state: a trained classifier, or the words yes and no of a language model.
    """

    task: Task
    family: str
    width: int
    window: int
    pooling: Pooling = "mean"
    normalise: bool = True
    head: Literal["", "classifier", "words"] = ""
    prompt: str = ""  # before every text, as the checkpoint's own library would put it


def plan(folder: Path, config: Mapping[str, Any], task: str = "") -> Plan | None:
    """None when the folder is of another kind. `task` is what somebody decided that it is, in place of what it seems.

    Raises:
        Unserved, OSError, ValueError
    """
    head = _head(folder, config, task)
    if not head and not _is_embedding(folder, config, task):
        return None
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        known = ", ".join(sorted(FAMILIES))
        text = _("Its network %(network)s is not served for embeddings; those are: %(known)s.")
        raise Unserved(text, network=str(config.get("model_type")), known=known)
    _check(config, family)
    window = _window(folder, config, family)
    if head:
        return Plan("rerank", family, 1, window, _classifier_pooling(config, family), normalise=False, head=head)
    pooling = _pooling(folder, family)
    made_with = _read(folder / "config_sentence_transformers.json")
    return Plan(
        "embedding",
        family,
        int(config["hidden_size"]),
        window,
        pooling,
        normalise=made_with.get("similarity_fn_name") not in DOT,
        prompt=str((made_with.get("prompts") or {}).get(made_with.get("default_prompt_name") or "") or ""),
    )


def _head(folder: Path, config: Mapping[str, Any], task: str) -> Literal["", "classifier", "words"]:
    if any("ForSequenceClassification" in name for name in _architectures(config)):
        labels = config.get("num_labels") or len(config.get("id2label") or ()) or 2  # transformers' default
        if labels != 1:
            raise Unserved(_("It sorts texts into %(count)s classes; a reranker gives one score."), count=labels)
        return "classifier"
    named = "rerank" in folder.name.lower() or task == "rerank"
    return "words" if named and config.get("model_type") == "qwen3" else ""


def _is_embedding(folder: Path, config: Mapping[str, Any], task: str) -> bool:
    if task == "embedding" or (folder / "modules.json").is_file():
        return True
    if config.get("model_type") == "qwen3":
        return "embed" in folder.name.lower()
    return str(config.get("model_type")) in FAMILIES and any(
        name.endswith(("Model", "ForMaskedLM")) for name in _architectures(config)
    )


def _architectures(config: Mapping[str, Any]) -> list[str]:
    return [str(name) for name in config.get("architectures") or ()]


def _check(config: Mapping[str, Any], family: str) -> None:
    """What the networks of mlx-embeddings would pass over in silence is refused."""
    activation = config.get("hidden_act", config.get("hidden_activation"))
    if family != "qwen3" and activation not in (None, *ACTIVATIONS):
        text = _("Its activation %(activation)s is not served; these are: %(known)s.")
        raise Unserved(text, activation=str(activation), known=", ".join(ACTIVATIONS))
    if config.get("position_embedding_type") not in (None, "absolute"):
        text = _("Its positions are %(positions)s; only absolute ones are served.")
        raise Unserved(text, positions=str(config["position_embedding_type"]))
    if family == "qwen3" and config.get("rope_scaling"):
        raise Unserved(_("Its rotary positions are scaled (rope_scaling), which is not served for embeddings."))


def _window(folder: Path, config: Mapping[str, Any], family: str) -> int:
    positions = int(config.get("max_position_embeddings") or NO_LIMIT)
    if family == "xlm_roberta":  # positions are counted from behind the padding's
        positions -= int(config.get("pad_token_id") or 0) + 1
    said = (
        _read(folder / "sentence_bert_config.json").get("max_seq_length"),
        _read(folder / "tokenizer_config.json").get("model_max_length"),
    )
    return min((positions, *(int(limit) for limit in said if isinstance(limit, int | float) and 0 < limit < NO_LIMIT)))


def _pooling(folder: Path, family: str) -> Pooling:
    modules = _list(folder / "modules.json")
    for module in modules:
        kind = str(module.get("type")).rpartition(".")[2]
        if kind not in KNOWN_MODULES:
            raise Unserved(_("Its modules.json has a %(kind)s module, which is not served."), kind=kind)
    where = next((str(module.get("path")) for module in modules if str(module.get("type")).endswith("Pooling")), "")
    said = _read(folder / (where or "1_Pooling") / "config.json")
    modes = [name for name, on in said.items() if name.startswith("pooling_mode_") and on is True]
    if isinstance(said.get("pooling_mode"), str):
        modes = [said["pooling_mode"]]
    if not modes:
        return "last" if family == "qwen3" else "mean"
    found = POOLINGS.get(modes[0]) or NAMED_POOLINGS.get(modes[0])
    if len(modes) > 1 or found is None:
        text = _("Its pooling %(modes)s is not served; cls, mean or last token is.")
        raise Unserved(text, modes=", ".join(modes))
    return found


def _classifier_pooling(config: Mapping[str, Any], family: str) -> Pooling:
    if family == "modernbert":
        return "cls" if config.get("classifier_pooling") == "cls" else "mean"
    return "last" if family == "qwen3" else "cls"


def _read(path: Path) -> Json:
    value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return value if isinstance(value, dict) else {}


def _list(path: Path) -> list[Json]:
    value = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
