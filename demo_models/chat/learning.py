"""Teaching a model the conversations: every step one batch, the loss over what the model itself has to write."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx import nn
from mlx.utils import tree_flatten

from demo_models.chat import start
from demo_models.chat.activation import fast_activations
from demo_models.chat.optimizer import Optimizer
from demo_models.chat.recurrence import fast_recurrence
from demo_models.chat.rows import Batch, Rows
from demo_models.chat.teacher import Teacher
from demo_models.progress import Progress

PEAK, WARMUP, DECAY = 2.5e-3, 60, 0.1
COOLING = 0.5  # the share of the steps in which the learning rate goes down to nothing
LOWEST = 0.02  # of the peak
REPORT = 50  # steps


def train(model: nn.Module, rows: Rows, *, steps: int, seed: int) -> None:
    """Train `model` in place from its start values."""
    model.load_weights(list(start.values(model, seed).items()))
    _teach(model, rows, steps, PEAK, slow=start.is_written)


def train_further(model: nn.Module, rows: Rows, *, steps: int, peak: float, slow: str = "") -> None:
    """Another lesson for `model`, which has learned already. What has `slow` in its name learns slowly."""
    _teach(model, rows, steps, peak, slow=lambda name: bool(slow) and slow in name)


def stored(model: nn.Module) -> dict[str, mx.array]:
    """The weights, rounded as in a file."""
    return {name: value.astype(mx.bfloat16).astype(mx.float32) for name, value in tree_flatten(model.parameters())}


def _teach(model: nn.Module, rows: Rows, steps: int, peak: float, *, slow: Callable[[str], bool]) -> None:
    optimizer = Optimizer(model.parameters(), decay=DECAY, slow=slow)
    gradient = nn.value_and_grad(model, _loss)
    progress, batches = Progress("learning", steps, every=REPORT), rows.batches()
    with fast_activations(), fast_recurrence():
        for step in range(steps):
            loss, found = gradient(model, *_arrays(next(batches)))
            model.update(optimizer.step(found, learning_rate(step, steps, peak)))
            progress.step(step + 1, loss.item)


def imitate(model: Any, teacher: Teacher, rows: Rows, *, steps: int) -> None:
    """Teach the recurrences of a hybrid `model` to answer as the teacher's attention does in their place."""
    model.freeze()
    for layer in model.layers:
        if layer.is_linear:
            layer.linear_attn.unfreeze()
    optimizer = Optimizer(model.trainable_parameters(), decay=DECAY, slow=lambda _: False)
    gradient = nn.value_and_grad(model, _unlike)
    progress, batches = Progress("imitating", steps, every=REPORT), rows.batches()
    with fast_activations(), fast_recurrence():
        for step in range(steps):
            shown = {name: pair for name, *pair in teacher.parts(mx.array(next(batches).tokens))}
            loss, found = gradient(model, shown)
            model.update(optimizer.step(found, learning_rate(step, steps, PEAK)))
            progress.step(step + 1, loss.item)
    model.unfreeze()


def _unlike(model: Any, shown: dict[str, list[mx.array]]) -> mx.array:
    """The share of what the teacher says that is said otherwise."""
    found = mx.array(0.0)
    for number, layer in enumerate(model.layers):
        if layer.is_linear:
            asked, wanted = shown[f"model.layers.{number}.self_attn"]
            found += ((layer.linear_attn(asked) - wanted) ** 2).mean() / (wanted**2).mean()
    return found


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Up, level, and down in a straight line."""
    lowest, cooled = LOWEST, min(1.0, (steps - step) / (steps * COOLING))
    return peak * min(1.0, (step + 1) / WARMUP) * (lowest + (1 - lowest) * cooled)


def _arrays(batch: Batch) -> list[mx.array]:
    return [mx.array(found) for found in (batch.tokens, batch.at, batch.wanted, batch.weights)]


def _loss(model: Any, tokens: mx.array, at: mx.array, wanted: mx.array, weights: mx.array) -> mx.array:
    """The head is asked only where an answer is written."""
    states = model.model(tokens)
    states = states.reshape(-1, states.shape[-1])[at]
    logits = model.model.embed_tokens.as_linear(states)
    return (nn.losses.cross_entropy(logits, wanted) * weights).sum() / weights.sum()
