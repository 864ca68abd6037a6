"""What the tiers of the prefix cache hand to one another: one block of a prompt, with what its layers keep of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tensor:
    """One array, row-major, by the names and the byte order (little-endian) of safetensors."""

    dtype: str  # "F32", "BF16", "F16", "I32", "U8", ...
    shape: tuple[int, ...]
    data: bytes | memoryview


@dataclass(frozen=True, slots=True)
class Entry:
    """One block. Its tensors may be views of a file's bytes: they are read, never written to."""

    key: bytes  # 32 bytes: SHA-256 of the chain up to and including this block
    parent: bytes | None  # the block before; None for a prompt's first
    model: str  # fingerprint in hex of weights, tokenizer, adapter, dtype and format: the unit of per-model cleaning
    name: str  # the model's name for people
    tokens: bytes  # ids of this block, packed as little-endian uint32
    tensors: Mapping[str, Tensor]
    meta: Mapping[str, str] = field(default_factory=dict)  # free, for whoever made it: which layers are snapshots
    complete: bool = True  # False: without the snapshots that its model needs; a complete one may take its place

    @property
    def size(self) -> int:
        """What its tensors hold: its cost in memory, in bytes."""
        return sum(memoryview(tensor.data).nbytes for tensor in self.tensors.values())
