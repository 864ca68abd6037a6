"""How much memory an engine is promised: its weights as they will be in memory, and room to work beside them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inference.client import Event
from inference.engine.bounds import KV_STEP, Bounds
from inference.engine.dimensions import read
from inference.engine.gate import FLOOR_TOKENS, LEAST_MARGIN, margin_beside
from inference.options import WORK_BYTES
from memory.device import read_device
from memory.options import ENGINE_MARGIN

MIB = 1024**2
MOST_TOKENS = 100_000_000  # beyond any context there is
# An mlx-lm process before any weights: 88 MiB on CPU (Linux, November 2026); a GPU's context is several times that.
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
    base += max(0, ENGINE_MARGIN.value - LEAST_MARGIN)
    return Need(base + min(LEAST_WORK_BYTES, WORK_BYTES.value), base + _work_bytes(weights))


def lease_of(facts: Event, gate: Event) -> int:
    """What an engine should have when nothing runs on it: what it holds, and room for the first to come, with whom it
    grows; 0 when it did not say what it holds."""
    held = int(gate.get("base_bytes") or 0) + int(gate.get("margin_bytes") or 0)
    return held + _work_bytes(int(facts.get("weights_bytes") or 0)) if held else 0


def _work_bytes(weights: int) -> int:
    return max(WORK_BYTES.value, int(HEADROOM_SHARE * weights))


@dataclass(frozen=True, slots=True)
class ContextNeed:
    """What a lease must be for one prompt of so many tokens: the sum by which the engine admits it. Bytes."""

    base: int
    bounds: Bounds
    least_margin: int = LEAST_MARGIN

    def bytes(self, tokens: int) -> int:
        promised = self.bounds.cache(1, tokens + KV_STEP)
        needed = self.base + self.bounds.request(tokens, promised, 1, FLOOR_TOKENS)
        return max(self.base + LEAST_WORK_BYTES, needed + margin_beside(needed, self.least_margin))

    def tokens(self, most: int) -> int:
        """The longest prompt for which `most` bytes are enough; 0 if none is."""
        longest, too_long = 0, MOST_TOKENS
        while too_long - longest > 1:
            middle = (longest + too_long) // 2
            longest, too_long = (middle, too_long) if self.bytes(middle) <= most else (longest, middle)
        return longest


def context_need(folder: Path, backend: str, known: Event | None = None) -> ContextNeed:
    """Raises KeyError, OSError or ValueError when the folder's config.json does not say how large the model is."""
    on_cpu = backend == "cpu"
    dimensions = read(json.loads((folder / "config.json").read_text()))
    base = known["gate"].get("base_bytes", 0) if known else 0
    return ContextNeed(
        base or BASE_BYTES + weights_in_memory(folder, widened=on_cpu),
        Bounds(dimensions, 4 if on_cpu else 2, backend),
        ENGINE_MARGIN.value,
    )


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
