"""How much memory an engine is promised: its weights as they will be in memory, and room to work beside them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inference.client import Event
from memory.device import read_device

MIB = 1024**2
# Resident size of an mlx-lm process before any weights. MEASURE
BASE_BYTES = 512 * MIB
LEAST_WORK_BYTES = 128 * MIB  # one small chunk and the context of a short prompt
HEADROOM_SHARE = 0.25  # of the weights, for the KV cache: what oMLX keeps free (its engine pool, 0.3.6)
HALF = ("F16", "BF16")


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes: what a load cannot do without, and what it is better off with."""

    least: int
    wanted: int


def need_of(folder: Path, known: Event | None = None) -> Need:
    """What to promise an engine that is about to load a folder; `known` is what it said of itself the last time."""
    weights = weights_in_memory(folder, widened=read_device() is None)
    base = known["gate"].get("base_bytes", BASE_BYTES) if known else BASE_BYTES + weights
    context = context_bytes(known["model"]) if known else LEAST_WORK_BYTES
    least = base + LEAST_WORK_BYTES
    return Need(least, least + int(HEADROOM_SHARE * weights) + context)


def lease_of(facts: Event, gate: Event) -> int:
    """What an engine that runs should have: what it holds, and room to work; 0 when it did not say what it holds."""
    held = int(gate.get("base_bytes") or 0) + int(gate.get("margin_bytes") or 0)
    share = int(HEADROOM_SHARE * int(facts.get("weights_bytes") or 0))
    return held + max(LEAST_WORK_BYTES, share + context_bytes(facts)) if held else 0


def context_bytes(facts: Event) -> int:
    """The KV cache of one whole context."""
    return int(facts.get("kv_bytes_per_token") or 0) * int(facts.get("context_limit") or 0)


def weights_in_memory(folder: Path, *, widened: bool) -> int:
    """Bytes of a folder's tensors; `widened`, half precision is computed as float32, as it is without a GPU."""
    return sum(
        size * (2 if widened and dtype in HALF else 1)
        for file in folder.glob("*.safetensors")
        for dtype, size in _tensors(file)
    )


def _tensors(file: Path) -> Iterator[tuple[str, int]]:
    """(dtype, bytes) of each tensor. A safetensors file begins with 8 bytes of length and a JSON header."""
    with file.open("rb") as stream:
        header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
    for name, tensor in header.items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            yield tensor["dtype"], end - begin
