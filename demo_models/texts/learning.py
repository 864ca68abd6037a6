"""Teaching a network thoughts: every step one batch of texts, or of pairs of them."""

import argparse
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx import nn

from demo_models.chat.optimizer import Optimizer
from demo_models.progress import Progress, learning_rate, say
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
    """The command line of a training program."""
    parser = argparse.ArgumentParser(description=f"Train {name} from nothing.")
    parser.add_argument("folder", type=Path, help="where the checkpoint is written")
    parser.add_argument("--share", type=float, default=1.0, help="of the full number of steps, for a quick trial")
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)  # other devices add in another order, and the bytes would differ
    if shutil.which("g++") is None:
        mx.disable_compile()  # MLX compiles fused CPU kernels with it and fails without
    mx.random.seed(lesson.seed)
    folder = Folder(options.folder.absolute(), lesson.kind)
    network = folder.network()
    if lesson.start is not None:
        lesson.start(network)
    _teach(network, lesson.loss, lesson.batches(folder.texts), max(1, round(lesson.steps * options.share)))
    folder.save(network)
    size = sum(path.stat().st_size for path in options.folder.rglob("*") if path.is_file())
    say(f"{name} is in {options.folder}: {size / 1e6:.1f} MB")
    return 0


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
        progress.step(step + 1, found.item())
