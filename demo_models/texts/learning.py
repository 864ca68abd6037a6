"""Teaching the demo models for texts, on CPU: MLX's own gradients of the very network that serves them."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn
from mlx.utils import tree_flatten
from tokenizers import Tokenizer

from demo_models.chat.optimizer import Optimizer
from demo_models.progress import Progress, learning_rate
from demo_models.texts import meanings
from inference.engine.encoder.networks import Network
from inference.engine.encoder.pooling import normalise, pool

SPREAD = 0.08  # of the start values of matrices
FAINT = 0.015  # of what all texts have in common: at first the words are heard
SHARPNESS = 20.0  # of the softmax over cosines: 1 / 0.05, as SimCSE has it (Gao et al., 2021)
DECAY, REPORT = 0.01, 50
Batch = tuple[mx.array, ...]
Loss = Callable[..., mx.array]


def begin(network: Network, seed: int) -> None:
    """Start values: the same for the same seed, whatever the order of MLX's own."""
    network.eval()  # no dropout: there is no end of texts, and its draws would be MLX's own
    rng = np.random.default_rng(seed)
    values = []
    for name, value in sorted(tree_flatten(network.parameters())):
        spread = FAINT if "position" in name or "token_type" in name else SPREAD
        drawn = rng.standard_normal(value.shape) * spread if value.ndim > 1 else np.zeros(value.shape)
        values.append((name, mx.array((drawn + (name.endswith("LayerNorm.weight"))).astype(np.float32))))
    network.load_weights(values)


def teach(network: Network, batches: Iterator[Batch], loss: Loss, *, name: str, steps: int, peak: float) -> None:
    """Train in place."""
    optimizer = Optimizer(network.parameters(), decay=DECAY, slow=lambda _name: False)
    gradient = nn.value_and_grad(network, loss)
    progress = Progress(name, steps, every=REPORT)
    for step in range(steps):
        found, gradients = gradient(network, *next(batches))
        network.update(optimizer.step(gradients, learning_rate(step, steps, peak=peak, warmup=max(1, steps // 10))))
        progress.step(step + 1, found.item())


# vectors


def wordings(tokenizer: Tokenizer, seed: int, count: int) -> Iterator[Batch]:
    """Token ids, types and mask of `count` wordings, then of one paraphrase each."""
    chance = random.Random(seed)  # noqa: S311  reproducible, not secret
    while True:
        pairs = meanings.pairs(chance, count)
        yield _arrays(tokenizer.encode_batch([one for one, _ in pairs] + [other for _, other in pairs]))


def contrast(network: Network, ids: mx.array, types: mx.array, mask: mx.array) -> mx.array:
    """Of all the others, each wording's paraphrase must be the nearest; both ways."""
    vectors = normalise(pool(network.states(ids, types, mask), mask, "mean"))
    half = vectors.shape[0] // 2
    near = vectors[:half] @ vectors[half:].T * SHARPNESS
    right = mx.arange(half)
    return (nn.losses.cross_entropy(near, right).mean() + nn.losses.cross_entropy(near.T, right).mean()) / 2


# scores


def judgements(tokenizer: Tokenizer, seed: int, count: int) -> Iterator[Batch]:
    """Token ids, types and mask of `count` pairs, and whether each means the same."""
    chance = random.Random(seed)  # noqa: S311  reproducible, not secret
    while True:
        found = meanings.judged(chance, count)
        same = mx.array(np.array([one[2] for one in found], np.float32))
        yield (*_arrays(tokenizer.encode_batch([one[:2] for one in found])), same)


def judge(network: Network, ids: mx.array, types: mx.array, mask: mx.array, same: mx.array) -> mx.array:
    scores = network.scores(pool(network.states(ids, types, mask), mask, "cls"), (0, 0))
    return nn.losses.binary_cross_entropy(scores, same, with_logits=True)


def _arrays(encoded: list[Any]) -> tuple[mx.array, mx.array, mx.array]:
    length = max(len(one.ids) for one in encoded)
    ids, types = (np.zeros((len(encoded), length), np.int32) for _ in range(2))
    mask = np.zeros((len(encoded), length), np.float32)
    for row, one in enumerate(encoded):
        ids[row, : len(one.ids)], types[row, : len(one.ids)], mask[row, : len(one.ids)] = one.ids, one.type_ids, 1
    return mx.array(ids), mx.array(types), mx.array(mask)
