"""A model in memory, and what it makes of a batch. On the thread that computes."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from inference.engine.encoder import networks, pooling
from inference.engine.encoder.batches import Batch
from inference.engine.encoder.bounds import Bounds
from inference.engine.encoder.checkpoint import Plan, plan
from inference.engine.encoder.networks import Network
from inference.engine.messages import Json
from inference.engine.models import fingerprint, materialise
from inference.engine.readings import backend
from inference.engine.unserved import Unserved
from memory.protocol import WorkerFailed


@dataclass(slots=True)
class Loaded:
    """`yes_no` are token ids that only a language model's scores need."""

    plan: Plan
    network: Network
    config: Json
    yes_no: tuple[int, int]
    weights_bytes: int
    parameters: int
    dtype: mx.Dtype
    fingerprint: str

    @property
    def vocab(self) -> int:
        return int(self.config.get("vocab_size") or 0)

    @property
    def bounds(self) -> Bounds:
        config = self.config
        heads = int(config["num_attention_heads"])
        return Bounds(
            max(int(config["hidden_size"]), heads * int(config.get("head_dim") or 0)),
            int(config["intermediate_size"]),
            heads,
            self.vocab if self.plan.head == "words" else 0,
        )

    def answers(self, batch: Batch) -> mx.array:
        """[B, width] vectors, or [B, 1] scores between 0 and 1, float32."""
        ids, types, mask = _arrays(batch)
        states = self.network.states(ids, types, mask)
        pooled = pooling.pool(states, mask, self.plan.pooling)
        if self.plan.head:
            return mx.sigmoid(self.network.scores(pooled, self.yes_no).astype(mx.float32))[:, None]
        pooled = pooled.astype(mx.float32)
        return pooling.normalise(pooled) if self.plan.normalise else pooled

    def cut(self, vectors: np.ndarray, dimensions: int) -> np.ndarray:
        """The first of their values, and of length 1 again."""
        vectors = vectors[:, :dimensions]
        if not self.plan.normalise:
            return vectors
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), pooling.LEAST))


def open_model(folder: Path, task: str, lease: int, progress: Callable[[int, int], None]) -> Loaded:
    """Load the model; nothing is read from the weights before it is known that they fit the lease.

    Raises:
        WorkerFailed: model_unusable, lease_too_small.
    """
    config, made = _planned(folder, task)
    if backend() == "cpu":
        mx.disable_compile()  # making the fused kernels took 10 s (2 cores, November 2026), and they save little
    network = networks.build(folder, made, config)
    if backend() == "cpu":
        network.set_dtype(mx.float32)
    weights = [array for _, array in tree_flatten(network.parameters())]
    total = sum(array.nbytes for array in weights)
    if total > lease:
        raise WorkerFailed("lease_too_small", f"The weights take {total:,} bytes and the lease is {lease:,}.")
    materialise(weights, total, progress)
    return Loaded(
        plan=made,
        network=network,
        config=config,
        yes_no=(0, 0),
        weights_bytes=total,
        parameters=sum(array.size for array in weights),
        dtype=next((array.dtype for array in weights if mx.issubdtype(array.dtype, mx.floating)), mx.float32),
        fingerprint=fingerprint(folder),
    )


def facts(loaded: Loaded, folder: Path, limit: int) -> dict[str, Any]:
    """What the node is told in `ready`."""
    return {
        "name": folder.name,
        "type": loaded.config.get("model_type"),
        "task": loaded.plan.task,
        "fingerprint": loaded.fingerprint,
        "context_window": loaded.plan.window,
        "context_limit": limit,
        "dimensions": loaded.plan.width,
        "pooling": loaded.plan.pooling,
        "normalised": loaded.plan.normalise,
        "vocab_size": loaded.vocab,
        "dtype": str(loaded.dtype).removeprefix("mlx.core."),
        "parameters": loaded.parameters,
        "weights_bytes": loaded.weights_bytes,
    }


def _planned(folder: Path, task: str) -> tuple[Json, Plan]:
    try:
        config: Json = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        made = plan(folder, config, task)
    except (OSError, ValueError, KeyError, TypeError, Unserved) as error:
        raise WorkerFailed("model_unusable", f"{folder.name} cannot be loaded: {error}") from error
    if made is None or (task and made.task != task):
        raise WorkerFailed("model_unusable", f"{folder.name} is not a model for {task or 'embedding or rerank'}.")
    return config, made


def _arrays(batch: Batch) -> tuple[mx.array, mx.array, mx.array]:
    longest = batch.length
    ids, types = (np.zeros((len(batch.rows), longest), np.int32) for _ in range(2))
    mask = np.zeros((len(batch.rows), longest), np.float32)
    for place, (request, number) in enumerate(batch.rows):
        row = request.rows[number]
        ids[place, : len(row)], types[place, : len(row)], mask[place, : len(row)] = row.ids, row.types, 1
    return mx.array(ids), mx.array(types), mx.array(mask)
