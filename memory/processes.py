"""A worker's processes: everything in the session that its launcher started.

A worker leads a session of its own, so its children are found and signalled with it even when it is
dead itself. A pid alone names nobody (the system uses it again): a group is a pid and a start time.
"""

import contextlib
import os
import signal
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import psutil

START_TOLERANCE_SECONDS = 0.02  # two kernel clock ticks: the figure is stored as a float

Sessions = dict[int, list[int]]


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """`started` is in seconds: since boot on Linux, where the clock may be set back, else since the epoch."""

    started: float
    zombie: bool


def process(pid: int) -> ProcessRecord | None:
    """What runs under this pid; None when nothing does."""
    if sys.platform != "linux":
        return _process_psutil(pid)
    return _process_linux(pid)


def _process_linux(pid: int) -> ProcessRecord | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces; proc_pid_stat(5), field 3 on
    return ProcessRecord(started=int(fields[19]) / os.sysconf("SC_CLK_TCK"), zombie=fields[0] in "ZX")


def _process_psutil(pid: int) -> ProcessRecord | None:
    try:
        found = psutil.Process(pid)
        return ProcessRecord(started=found.create_time(), zombie=found.status() == psutil.STATUS_ZOMBIE)
    except psutil.ZombieProcess:
        return ProcessRecord(started=0.0, zombie=True)
    except psutil.NoSuchProcess:
        return None


def sessions() -> Sessions:
    """Every process on the machine by the session it is in. One pass, for several groups."""
    found: Sessions = defaultdict(list)
    for pid in psutil.pids():
        with contextlib.suppress(OSError):  # ended meanwhile, or somebody else's
            found[os.getsid(pid)].append(pid)
    return found


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> "ProcessGroup | None":
        found = process(pid)
        return cls(pid, found.started) if found else None

    def members(self, table: Sessions | None = None) -> list[int]:
        """The pids that still run. Zombies hold no memory and are not counted."""
        leader = process(self.pid)
        if self._is_mine() or (leader and not leader.zombie and not self._started_with(leader)):
            return []
        listed = (sessions() if table is None else table).get(self.pid, [])
        return [pid for pid in listed if (found := process(pid)) and not found.zombie]

    def signal(self, number: signal.Signals) -> None:
        """Signal every process that is left. Those that end meanwhile are no mistake."""
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _started_with(self, leader: ProcessRecord) -> bool:
        return abs(leader.started - self.started) <= START_TOLERANCE_SECONDS

    def _is_mine(self) -> bool:
        """Never this very process: a worker that ran inside it left no process behind."""
        return self.pid in (os.getpid(), os.getsid(0))
