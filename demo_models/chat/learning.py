"""Teaching a model the conversations: every step one batch, the loss over what the model itself has to write."""

from functools import partial
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_map_with_path

from demo_models.chat.activation import fast_swiglu
from demo_models.chat.optimizer import Optimizer
from demo_models.chat.rows import Batch, Rows
from demo_models.progress import Progress

EMBEDDING = 0.02  # the spread of its start values
PEAK, WARMUP, DECAY = 3e-3, 50, 0.1
COOLING = 0.5  # the share of the steps in which the learning rate goes down to nothing
REPORT = 50  # steps


def train(model: nn.Module, rows: Rows, *, steps: int, seed: int) -> None:
    """Train `model` in place from random start values."""
    mx.random.seed(seed)
    model.update(tree_map_with_path(partial(_start, layers=len(model.layers)), model.parameters()))
    optimizer, gradient = Optimizer(model.parameters(), decay=DECAY), nn.value_and_grad(model, _loss)
    progress, batches = Progress("demo-chat", steps, every=REPORT), rows.batches()
    with fast_swiglu():
        for step in range(steps):
            loss, found = gradient(model, *_arrays(next(batches)))
            model.update(optimizer.step(found, learning_rate(step, steps)))
            progress.step(step + 1, loss.item())


def learning_rate(step: int, steps: int) -> float:
    """Up, level, and down in a straight line."""
    return PEAK * min(1.0, (step + 1) / WARMUP, (steps - step) / (steps * COOLING))


def _start(path: str, value: mx.array, *, layers: int) -> mx.array:
    """What a layer adds to the stream starts small, so that all layers together start at the size of one."""
    if value.ndim < 2:  # noqa: PLR2004 - a vector
        return value
    if "embed" in path:
        return mx.random.normal(value.shape) * EMBEDDING
    adds = path.endswith(("o_proj.weight", "down_proj.weight"))
    return mx.random.normal(value.shape) * (value.shape[1] * (2 * layers if adds else 1)) ** -0.5


def _arrays(batch: Batch) -> list[mx.array]:
    return [mx.array(found) for found in (batch.tokens, batch.at, batch.wanted, batch.weights)]


def _loss(model: Any, tokens: mx.array, at: mx.array, wanted: mx.array, weights: mx.array) -> mx.array:
    """The head is asked only where an answer is written."""
    states = model.model(tokens)
    states = states.reshape(-1, states.shape[-1])[at]
    logits = model.model.embed_tokens.as_linear(states)
    return (nn.losses.cross_entropy(logits, wanted) * weights).sum() / weights.sum()
