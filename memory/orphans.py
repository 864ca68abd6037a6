"""Workers that a dead node left. They are found by what their environment says and by their leases' processes."""

import os
import signal
import time
from collections.abc import Iterable, Mapping

import psutil
import structlog

from memory.models import Lease
from memory.processes import START_TOLERANCE_SECONDS, ProcessGroup, process

log = structlog.get_logger(__name__)
LEASE_VARIABLE = "FMLX_LEASE"  # set by the launcher for every worker
TERM_SECONDS = 2.0
KILL_SECONDS = 5.0
POLL_SECONDS = 0.05


def end_orphans(leases: Iterable[Lease], mark: Mapping[str, str]) -> set[int]:
    """End every process group that carries `mark`, and those that the leases are bound to. Blocks up to 7 s.

    Returns the pids of those that not even SIGKILL ended; none, unless the kernel itself is stuck.
    """
    groups = {*_marked(mark), *_bound(leases)}
    for group in groups:
        log.warning("orphan_found", pid=group.pid, message="A worker of a node that is gone still runs. It is ended.")
        group.signal(signal.SIGTERM)
    left = _wait(groups, TERM_SECONDS)
    for group in left:
        group.signal(signal.SIGKILL)
    stuck = {group.pid for group in _wait(left, KILL_SECONDS)}
    for pid in stuck:
        log.error("orphan_left", pid=pid, message="A worker of a dead node does not end, and keeps its lease.")
    return stuck


def _marked(mark: Mapping[str, str]) -> set[ProcessGroup]:
    """The groups of all processes whose environment carries the mark: also a worker that was never bound."""
    groups = set()
    for pid in psutil.pids():
        environment = _environment(pid)
        if not environment or LEASE_VARIABLE not in environment or not mark.items() <= environment.items():
            continue
        if group := _group(pid):
            groups.add(group)
    return groups


def _group(pid: int) -> ProcessGroup | None:
    """The group of the session that `pid` is in, whose leader may be dead."""
    try:
        session = os.getsid(pid)
    except OSError:
        return None
    return ProcessGroup.of(session) or ProcessGroup(session, 0.0)


def _bound(leases: Iterable[Lease]) -> set[ProcessGroup]:
    """The leases' processes whose environment cannot be read: by pid and start time."""
    groups = set()
    for lease in leases:
        found = process(lease.pid) if lease.pid and lease.pid_started else None
        if lease.pid is None or lease.pid_started is None or found is None:
            continue
        same = abs(found.started - lease.pid_started) <= START_TOLERANCE_SECONDS
        if same and _environment(lease.pid) is None:
            groups.add(ProcessGroup(lease.pid, found.started))
    return groups


def _environment(pid: int) -> Mapping[str, str] | None:
    """None when it is not ours to read, or the process is gone."""
    try:
        environment: Mapping[str, str] = psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return None
    return environment


def _wait(groups: Iterable[ProcessGroup], seconds: float) -> list[ProcessGroup]:
    """Wait until the groups are gone; those that are not by then."""
    deadline = time.monotonic() + seconds
    while (left := [group for group in groups if group.members()]) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return left
