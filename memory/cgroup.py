"""The memory limit of the container that this process runs in: cgroup v2, on Linux.

A limit may be set on any group above this process's own, and the tightest of them holds. Files and their meaning:
https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
"""

from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
RECLAIMABLE = ("active_file", "inactive_file", "slab_reclaimable")


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """Bytes. `reclaimable` is the part of what is used that the kernel takes back before it refuses any."""

    limit: int
    used: int
    reclaimable: int

    @property
    def free(self) -> int:
        return max(0, self.limit - self.used)


def read_group_limit(mount: Path = MOUNT, own: Path = OWN) -> GroupLimit | None:
    """The limit that leaves the least; None without one, without cgroup v2, or when it cannot be read."""
    limits = [limit for folder in _groups(mount, own) if (limit := _limit_of(folder))]
    return min(limits, key=lambda limit: limit.free + limit.reclaimable, default=None)


def _groups(mount: Path, own: Path) -> list[Path]:
    """This process's group and those above it. In a container its own group is the root of what it sees."""
    lines = _text(own).splitlines()
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if path is None or ".." in path:  # no version 2 here, or a group outside of what this mount shows
        return []
    folder = mount / path.lstrip("/")
    return [folder, *(above for above in folder.parents if above.is_relative_to(mount))]


def _limit_of(folder: Path) -> GroupLimit | None:
    limit, used = _text(folder / "memory.max").strip(), _text(folder / "memory.current").strip()
    if not limit.isdigit() or not used.isdigit():  # "max" is no limit, and the root has no such files
        return None
    pairs = (line.split() for line in _text(folder / "memory.stat").splitlines())
    kept = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}  # noqa: PLR2004 - a pair
    return GroupLimit(int(limit), int(used), min(int(used), sum(kept.get(name, 0) for name in RECLAIMABLE)))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
