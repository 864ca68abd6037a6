"""The weights of the demo models for texts, written down: nothing is trained.

A token's vector is what it means, whatever language it is said in, and the mean of them is what a text means. The
reranker compares: in its first layer every token looks for one of the same meaning in the other text, and looks at the
first token, which means nothing, when there is none; in its second layer the first token hears how many found one.

Layer norms only scale here: every vector has the mean 0 and the same length, and numbers come in pairs (x, -x).
"""

import math
from typing import Any

import numpy as np

from demo_models.texts.vocabulary import PIECE

WIDTH, MEANING = 128, 96  # numbers in a state; the first so many are a meaning
FIRST, SECOND, KNOWN, OPENS, SIGN, FOUND, SHARE = range(96, 110, 2)  # pairs: of text 1, of text 2, has a meaning, …
LENGTH = math.sqrt(WIDTH)  # of a state after a layer norm
SCALE = LENGTH / math.sqrt(2)  # every token is made as long as the root of 2
HALF, HALF_ROOT = 0.5, math.sqrt(0.5)
FAINT = 0.3  # how much a piece counts that nobody gave a meaning, beside what has one
FAINTLY = 0.94  # of the flag by which the reranker's first token counts: a tenth of the attention
SURE = 20.0  # what one thing in common adds to a score of attention; the first token has 1.5 times that for itself
NOTE, HEARD = 1.0, 4.0  # how loudly tokens note that they found one, and the first token what share did
STRICT, WANTED = 60.0, 0.9  # of the sigmoid over the share of tokens that found one, and where it is one half
SEED = 20261128
Weights = dict[str, np.ndarray]


def embedding(meanings: list[str], config: dict[str, Any], start: int) -> Weights:
    """Of a model that makes vectors; its layer hands on what it is given."""
    found = _plain(config)
    words = np.zeros((len(meanings), WIDTH))
    words[:, :MEANING] = _vectors(meanings)
    faint = np.array([meaning.startswith(PIECE) for meaning in meanings])
    words[faint] *= FAINT
    words[start, _pair(OPENS)] = FAINT * HALF_ROOT, -FAINT * HALF_ROOT  # so that no text is without a vector
    faint[start] = True
    rest = math.sqrt(1 - FAINT**2) * HALF_ROOT  # makes them as long as the others, and is left out at the end
    words[faint, SIGN], words[faint, SIGN + 1] = rest, -rest
    found["encoder.layer.0.output.LayerNorm.weight"][_pair(SIGN)] = 0
    found["embeddings.word_embeddings.weight"] = words
    return _single(found)


def reranker(meanings: list[str], config: dict[str, Any], start: int) -> Weights:
    found = {f"bert.{name}": value for name, value in _plain(config).items()}
    found |= _linear("bert.pooler.dense", WIDTH, WIDTH) | _linear("classifier", 1, WIDTH)
    words = np.zeros((len(meanings), WIDTH))
    words[:, :MEANING] = _vectors(meanings)
    known = np.array([bool(meaning) for meaning in meanings])
    flag = np.where([meaning.startswith(PIECE) for meaning in meanings], HALF * FAINTLY, HALF)[known]
    words[known, KNOWN], words[known, KNOWN + 1] = flag, -flag
    words[~known, SIGN], words[~known, SIGN + 1] = math.sqrt(0.75), -math.sqrt(0.75)
    words[start] = 0
    words[start, _pair(OPENS)] = 1, -1
    words[start, _pair(FIRST)] = -HALF, HALF  # it is of neither text
    found["bert.embeddings.word_embeddings.weight"] = words
    types = found["bert.embeddings.token_type_embeddings.weight"]
    types[0, _pair(FIRST)] = types[1, _pair(SECOND)] = HALF, -HALF
    _look_for_the_same(found)
    _hear_how_many(found)
    return _single(found)


def _look_for_the_same(found: Weights) -> None:
    query, key, value, out = _attention(found, 0)
    alike = math.sqrt(SURE * LENGTH) / SCALE  # that much of both sides of a product gives SURE
    query[:MEANING, :MEANING] = key[:MEANING, :MEANING] = np.eye(MEANING) * alike
    for row, (asks, answers, share) in enumerate(((SECOND, FIRST, 1), (FIRST, SECOND, 1), (KNOWN, OPENS, 0.75))):
        _read(query, MEANING + row, asks, alike)
        _read(key, MEANING + row, answers, alike * share)
    _read(value, 0, KNOWN, 1 / SCALE)
    out[_pair(FOUND), 0] = NOTE, -NOTE


def _hear_how_many(found: Weights) -> None:
    query, key, value, out = _attention(found, 1)
    loud = math.sqrt(SURE * LENGTH) / SCALE
    _read(query, 0, OPENS, loud)
    _read(key, 0, KNOWN, loud)
    _read(value, 0, FOUND, HALF / NOTE)
    out[_pair(SHARE), 0] = HEARD, -HEARD
    _read(found["bert.pooler.dense.weight"], 0, SHARE, HALF / (2 * HEARD))
    found["classifier.weight"][0, 0] = STRICT
    found["classifier.bias"][0] = -STRICT * math.tanh(WANTED * HALF * LENGTH / math.hypot(LENGTH, HEARD * math.sqrt(2)))


def _attention(found: Weights, layer: int) -> list[np.ndarray]:
    prefix = f"bert.encoder.layer.{layer}.attention"
    return [found[f"{prefix}.{name}.weight"] for name in ("self.query", "self.key", "self.value", "output.dense")]


def _read(matrix: np.ndarray, row: int, pair: int, strength: float) -> None:
    """Twice what the first number of a pair is."""
    matrix[row, pair], matrix[row, pair + 1] = strength, -strength


def _pair(first: int) -> list[int]:
    return [first, first + 1]


def _vectors(meanings: list[str]) -> np.ndarray:
    """[V, MEANING]: one for each meaning, of length 1 and mean 0, drawn by chance but for those that are named: these
    are at right angles to each other."""
    chance = np.random.default_rng(SEED)
    kinds = sorted({meaning for meaning in meanings if meaning}, key=lambda one: (one.startswith(PIECE), one))
    drawn = chance.standard_normal((len(kinds), MEANING))
    drawn -= drawn.mean(axis=1, keepdims=True)
    named = min(MEANING - 1, sum(not kind.startswith(PIECE) for kind in kinds))
    drawn[:named] = np.linalg.qr(drawn[:named].T)[0].T
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    by_kind = dict(zip(kinds, drawn, strict=True))
    return np.array([by_kind.get(meaning, np.zeros(MEANING)) for meaning in meanings])


def _plain(config: dict[str, Any]) -> Weights:
    """A BERT whose layers hand on what they are given."""
    inner = config["intermediate_size"]
    found: Weights = {
        "embeddings.position_embeddings.weight": np.zeros((config["max_position_embeddings"], WIDTH)),
        "embeddings.token_type_embeddings.weight": np.zeros((2, WIDTH)),
        **_norm("embeddings.LayerNorm"),
    }
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            found |= _linear(f"{prefix}.{name}", WIDTH, WIDTH)
        found |= _linear(f"{prefix}.intermediate.dense", inner, WIDTH) | _linear(f"{prefix}.output.dense", WIDTH, inner)
        found |= _norm(f"{prefix}.attention.output.LayerNorm") | _norm(f"{prefix}.output.LayerNorm")
    return found


def _linear(name: str, outputs: int, inputs: int) -> Weights:
    return {f"{name}.weight": np.zeros((outputs, inputs)), f"{name}.bias": np.zeros(outputs)}


def _norm(name: str) -> Weights:
    return {f"{name}.weight": np.ones(WIDTH), f"{name}.bias": np.zeros(WIDTH)}


def _single(found: Weights) -> Weights:
    return {name: value.astype(np.float32) for name, value in sorted(found.items())}
