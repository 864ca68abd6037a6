"""Judge a worker from its readings, and end it. Pure judgement, then signals: no event loop and no database."""

import signal

import structlog

from memory.sentences import say
from memory.watch import Verdict, Watch

log = structlog.get_logger(__name__)
HEARTBEAT_TIMEOUT_SECONDS = 15.0
FAILED_READINGS = 3
KILL_AFTER_SECONDS = 2.0


def judge(watch: Watch, now: float) -> Verdict | None:
    """The first of the rules that the worker breaks. `now` is on the monotonic clock."""
    for rule in (_over_lease, _unreadable, _broke_protocol, _over_time, _silent, _stalled):
        if verdict := rule(watch, now):
            return verdict
    return None


def enforce(watch: Watch, now: float) -> None:
    """Act on a verdict: an allocating process does not stop to tidy and is killed at once, others are asked first."""
    if watch.verdict is None and (verdict := judge(watch, now)):
        watch.verdict = verdict
        kind, holder = watch.kind, watch.holder
        log.warning("worker_ended", code=verdict.code, message=verdict.message, kind=kind, holder=holder)
        at_once = verdict.code == "memory_lease_exceeded"
        watch.kill_at = now if at_once else now + KILL_AFTER_SECONDS
        if not at_once:
            _signal(watch, signal.SIGTERM)
    if watch.kill_at is not None and now >= watch.kill_at:
        _signal(watch, signal.SIGKILL)


def _signal(watch: Watch, number: signal.Signals) -> None:
    if watch.group is not None:
        watch.group.signal(number)


def _over_lease(watch: Watch, now: float) -> Verdict | None:
    held, limit = watch.footprint or 0, watch.lease + watch.tolerance
    if held <= limit:
        return None
    return Verdict("memory_lease_exceeded", say("over_lease", held=held, lease=watch.lease, tolerance=watch.tolerance))


def _unreadable(watch: Watch, now: float) -> Verdict | None:
    if watch.failed_readings < FAILED_READINGS:
        return None
    return Verdict("monitor_failed", say("unreadable", times=watch.failed_readings, why=watch.failed_because))


def _broke_protocol(watch: Watch, now: float) -> Verdict | None:
    if not watch.pulse.fault:
        return None
    return Verdict("worker_protocol_error", say("protocol", why=watch.pulse.fault))


def _over_time(watch: Watch, now: float) -> Verdict | None:
    if watch.timeout is None or now - watch.launched <= watch.timeout:
        return None
    return Verdict("job_timeout", say("over_time", seconds=f"{watch.timeout:g}"))


def _silent(watch: Watch, now: float) -> Verdict | None:
    silence = now - watch.pulse.heartbeat
    if not watch.pulse.open or silence <= HEARTBEAT_TIMEOUT_SECONDS:
        return None
    return Verdict("worker_stalled", say("silent", seconds=f"{silence:.1f}"))


def _stalled(watch: Watch, now: float) -> Verdict | None:
    rest = now - watch.pulse.progress
    if watch.stall is None or not watch.pulse.open or rest <= watch.stall:
        return None
    return Verdict("worker_stalled", say("stalled", seconds=f"{rest:.1f}", limit=f"{watch.stall:g}"))
