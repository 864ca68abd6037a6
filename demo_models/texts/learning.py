"""Teaching a network thoughts: every step one batch of texts, or of pairs of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn

from demo_models.chat.optimizer import Optimizer
from demo_models.command import Command
from demo_models.progress import Progress, learning_rate
from demo_models.texts.folder import Folder
from inference.engine.encoder.networks import Network
from inference.engine.encoder.texts import Row, Texts

PEAK, WARMUP, DECAY = 3e-3, 30, 0.01
REPORT = 50  # steps
Loss = Callable[..., mx.array]
Batches = Iterator[tuple[mx.array, ...]]


@dataclass(frozen=True, slots=True)
class Lesson:
    """`kind` of folder; `loss` is asked with the network and what is in a batch; `start` gives the network other values
    than random ones."""

    kind: Mapping[str, Any]
    seed: int
    steps: int
    batches: Callable[[Texts], Batches]
    loss: Loss
    start: Callable[[Network], None] | None = None


def program(name: str, lesson: Lesson) -> int:
    """Of a training program."""
    command = Command.read(name)
    mx.random.seed(lesson.seed)
    folder = Folder(command.folder, lesson.kind)
    network = folder.network()
    if lesson.start is not None:
        lesson.start(network)
    _teach(network, lesson.loss, lesson.batches(folder.texts), command.steps(lesson.steps))
    folder.save(network)
    return command.end()


def arrays(rows: list[Row]) -> tuple[mx.array, mx.array, mx.array]:
    """Token ids, types and mask, [B, L] each, padded at the end."""
    ids, types, mask = (np.zeros((len(rows), max(map(len, rows))), kind) for kind in (np.int32, np.int32, np.float32))
    for place, row in enumerate(rows):
        ids[place, : len(row)], types[place, : len(row)], mask[place, : len(row)] = row.ids, row.types, 1
    return mx.array(ids), mx.array(types), mx.array(mask)


def _teach(network: Network, loss: Loss, batches: Batches, steps: int) -> None:
    optimizer = Optimizer(network.trainable_parameters(), decay=DECAY, slow=lambda _: False)
    gradient = nn.value_and_grad(network, loss)
    progress = Progress("learning", steps, every=REPORT)
    for step in range(steps):
        found, gradients = gradient(network, *next(batches))
        network.update(optimizer.step(gradients, learning_rate(step, steps, peak=PEAK, warmup=WARMUP)))
        progress.step(step + 1, found.item)
