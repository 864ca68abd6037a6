"""What the operating system says about the whole machine's memory."""

import sys
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes. `reclaimable` is what the system would give up beyond what is free: page cache, inactive pages."""

    total: int
    free: int
    reclaimable: int

    @property
    def available(self) -> int:
        return self.free + self.reclaimable

    @property
    def used(self) -> int:
        return max(0, self.total - self.available)


def read_machine() -> Machine:
    """Linux: MemAvailable - MemFree is reclaimable. macOS: the inactive pages are."""
    memory = psutil.virtual_memory()
    reclaimable = memory.inactive if sys.platform == "darwin" else memory.available - memory.free
    return Machine(total=memory.total, free=memory.free, reclaimable=max(0, reclaimable))
