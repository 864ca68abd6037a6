"""Start values with which the model can copy before it has learned anything: an induction circuit, written down.

Two heads of the first layer look one and two tokens back, and note what they find in places of their own. The heads of
the second layer look for a token that came after what is here now, or after the same two tokens, and hand on what they
find: what came next then comes next now (Olsson et al., "In-context Learning and Induction Heads", 2022). With random
values, finding this took training more than half of its steps.
"""

from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

EMBEDDING = 0.08  # the spread of the embedding's values
CONSTANT = 0.2  # every token's first value: heads that look back by position need something that is always there
NOTE = 0.16  # how strongly the first layer notes what it found
HAND_ON = 1.0  # how strongly the second layer hands on what it found
FAINT = 0.01  # how strongly everything else begins to be heard
SHARP = 1.5  # of queries and keys in both layers
NEAR = 3  # pairs of dimensions that turn fastest: they tell one token back from two
TURNING = 8  # pairs that turn too fast to be compared over twenty tokens
CIRCUIT = ("model.layers.0.self_attn", "model.layers.1.self_attn")
Weights = dict[str, np.ndarray]


def values(model: Any, seed: int) -> dict[str, mx.array]:
    """A value for every parameter of a Qwen3 whose heads all have keys of their own."""
    rng = np.random.default_rng(seed)
    found = {name: _random(name, value, rng) for name, value in sorted(tree_flatten(model.parameters()))}
    found["model.embed_tokens.weight"][:, 0] = CONSTANT
    size = model.layers[0].self_attn.q_norm.weight.size
    first, second = CIRCUIT
    content, one_back, two_back = _places(rng, found[f"{first}.q_proj.weight"].shape[1], size)
    _look_back(found, first, size, content, (one_back, two_back))
    _look_for(found, second, size, ((content, one_back), (one_back, two_back)), rng)
    return {name: mx.array(value.astype(np.float32)) for name, value in found.items()}


def is_written(name: str) -> bool:
    """Whether a parameter holds the circuit, which quick steps at the beginning would destroy."""
    return name.startswith(CIRCUIT)


def _random(name: str, value: mx.array, rng: np.random.Generator) -> np.ndarray:
    if value.ndim < 2:  # noqa: PLR2004 - a vector
        return np.ones(value.shape)
    if "embed" in name:
        spread = EMBEDDING
    else:
        spread = value.shape[1] ** -0.5 * (FAINT if name.endswith(("o_proj.weight", "down_proj.weight")) else 1)
    return rng.standard_normal(value.shape) * spread


def _places(rng: np.random.Generator, width: int, size: int) -> list[np.ndarray]:
    """Three parts of the stream, [size, width] each, that do not touch each other or the constant."""
    rows = np.zeros((3 * size, width))
    rows[:, 1:] = np.linalg.qr(rng.standard_normal((width - 1, 3 * size)))[0].T
    return list(rows.reshape(3, size, width))


def _look_back(found: Weights, layer: str, size: int, content: np.ndarray, notes: tuple[np.ndarray, ...]) -> None:
    """Head n finds the token n + 1 back: the query turned by so many tokens is the key."""
    speed = 10000.0 ** (-np.arange(NEAR) / (size // 2))  # of the rotary embedding's first pairs
    for head, note in enumerate(notes):
        rows, back = slice(head * size, (head + 1) * size), head + 1
        query, key = np.zeros(size), np.zeros(size)
        query[:NEAR] = 1
        key[:NEAR], key[size // 2 : size // 2 + NEAR] = np.cos(speed * back), np.sin(speed * back)
        for name, wanted in (("q", query), ("k", key)):
            found[f"{layer}.{name}_proj.weight"][rows] *= FAINT
            found[f"{layer}.{name}_proj.weight"][rows, 0] = wanted
        found[f"{layer}.v_proj.weight"][rows] = content
        found[f"{layer}.o_proj.weight"][:, rows] = note.T * NOTE
    _sharpen(found, layer)


def _look_for(
    found: Weights, layer: str, size: int, pairs: tuple[tuple[np.ndarray, np.ndarray], ...], rng: np.random.Generator
) -> None:
    """Heads in turn compare what is here in the first part of a pair with what is there in the second."""
    slow = np.ones((size, 1))
    slow[:TURNING] = slow[size // 2 : size // 2 + TURNING] = 0
    wide, width = found[f"{layer}.v_proj.weight"].shape
    for head in range(wide // size):
        rows, (here, there) = slice(head * size, (head + 1) * size), pairs[head % len(pairs)]
        found[f"{layer}.q_proj.weight"][rows] = here * slow
        found[f"{layer}.k_proj.weight"][rows] = there * slow
    turned = np.linalg.qr(rng.standard_normal((wide, width)))[0]
    turned[:, 0] = 0
    found[f"{layer}.v_proj.weight"], found[f"{layer}.o_proj.weight"] = turned, turned.T * HAND_ON
    _sharpen(found, layer)


def _sharpen(found: Weights, layer: str) -> None:
    for name in ("q", "k"):
        found[f"{layer}.{name}_norm.weight"] *= SHARP
