"""What the operating system says about the whole machine's memory."""

import sys
from dataclasses import dataclass

import psutil

from memory.cgroup import GroupLimit, read_group_limit


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes. `reclaimable` is what the system would give up beyond what is free: page cache, inactive pages.
    `limit` is the container's, and the other figures are within it already.
    """

    total: int
    free: int
    reclaimable: int
    limit: int | None = None

    @property
    def available(self) -> int:
        return self.free + self.reclaimable

    @property
    def used(self) -> int:
        return max(0, self.total - self.available)

    def within(self, group: GroupLimit | None) -> "Machine":
        """This machine as a container sees it that may use no more than `group` allows."""
        if group is None or group.limit >= self.total:
            return self
        free = min(self.free, group.free)
        reclaimable = min(self.available, group.free + group.reclaimable) - free
        return Machine(group.limit, free, max(0, reclaimable), limit=group.limit)


def read_machine() -> Machine:
    """Linux: MemAvailable - MemFree is reclaimable. macOS: the inactive pages are."""
    memory = psutil.virtual_memory()
    reclaimable = memory.inactive if sys.platform == "darwin" else memory.available - memory.free
    machine = Machine(total=memory.total, free=memory.free, reclaimable=max(0, reclaimable))
    return machine.within(read_group_limit()) if sys.platform == "linux" else machine
