"""What the operating system says a worker's processes hold.

Linux: RSS + swap, which costs next to nothing, while that is under what the worker may hold; above it PSS + swap, which
counts pages shared between processes once but walks the page tables (8 ms per GiB, measured on Linux 6.18 on a
2-core VM, 2026-11-21: too slow for 4 Hz on a large worker). macOS: `phys_footprint`.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

KIB = 1024


class ReadingFailed(Exception):
    """The system refused a reading, or gave one that makes no sense."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes: held now by all the processes; the most that one of them ever held; and of what is held now, the part
    in memory that the system cannot take back (the rest, pages of files and swap, is not lost to others).
    """

    bytes: int
    lifetime: int
    kept: int

    def with_gpu(self, size: int) -> "Footprint":
        """And what they hold of a GPU's own memory, of which the machine's knows nothing: `kept` stays."""
        return replace(self, bytes=self.bytes + size, lifetime=max(self.lifetime, self.bytes + size)) if size else self


def read_footprint(pids: Iterable[int], *, exact_above: int = 0) -> Footprint | None:
    """The footprint of these processes together; None when all of them are gone.

    Raises:
        ReadingFailed: the system refused.
    """
    pids = list(pids)
    if sys.platform == "darwin":
        from memory.footprint_macos import read_usage  # noqa: PLC0415 - loads a library that only macOS has

        return _together(read_usage(pid) for pid in pids)
    rough = _together(_resident(pid) for pid in pids)
    if rough is None or rough.bytes <= exact_above:
        return rough
    return _together(_proportional(pid) for pid in pids) or rough


def _together(readings: Iterable[Footprint | None]) -> Footprint | None:
    alive = [reading for reading in readings if reading is not None]
    if not alive:
        return None
    return Footprint(
        bytes=sum(one.bytes for one in alive),
        lifetime=max(one.lifetime for one in alive),
        kept=sum(one.kept for one in alive),
    )


def _resident(pid: int) -> Footprint | None:
    fields = _fields(Path(f"/proc/{pid}/status"))
    if fields is None or "VmRSS" not in fields:  # a zombie has no memory
        return None
    held, lifetime = fields["VmRSS"] + fields.get("VmSwap", 0), fields.get("VmHWM", fields["VmRSS"])
    return Footprint(held, lifetime, kept=fields.get("RssAnon", held) + fields.get("RssShmem", 0))


def _proportional(pid: int) -> Footprint | None:
    resident = _resident(pid)
    if resident is None:
        return None
    try:
        fields = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    except ReadingFailed:  # closed to us on some hardened kernels
        return resident
    if fields is None or "Pss" not in fields:
        return resident
    return Footprint(fields["Pss"] + fields.get("SwapPss", 0), resident.lifetime, resident.kept)


def _fields(path: Path) -> dict[str, int] | None:
    """The `Name: N kB` lines of a file in /proc, in bytes. None when the process is gone."""
    try:
        text = path.read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError as error:
        raise ReadingFailed(f"{path}: {error.strerror}") from error
    lines = (line.partition(":") for line in text.splitlines() if line.endswith(" kB"))
    return {name: int(value.split()[0]) * KIB for name, _, value in lines}
