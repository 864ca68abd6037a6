"""A thread that reads the machine and every watched worker four times a second, and lets the watchdog judge.

It uses neither the event loop nor the database, so that neither can delay it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from memory.footprint import Footprint, ReadingFailed, read_footprint
from memory.gpu import GpuReader
from memory.machine import Machine, read_machine
from memory.processes import Sessions, sessions
from memory.watch import Watch
from memory.watchdog import enforce

log = structlog.get_logger(__name__)
PERIOD_SECONDS = 0.25  # unless the books say otherwise (options.SAMPLE_SECONDS)
RECENT_SECONDS = 5.0  # an application that starts or a build step; a ceiling that follows each of them flaps
LATE_SECONDS = 1.0  # the node itself did not run: a suspended machine, a stopped process

ReadFootprint = Callable[..., Footprint | None]


@dataclass(frozen=True, slots=True)
class WorkerSample:
    """Sizes in bytes."""

    kind: str
    holder: str
    footprint: int
    peak: int
    lease: int
    lease_id: int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One tick's figures. `held`, in bytes, is what the workers keep from everybody else."""

    machine: Machine
    workers: tuple[WorkerSample, ...] = ()
    held: int = 0


class Sampler:
    def __init__(self, read: ReadFootprint = read_footprint) -> None:
        self._read = read
        self.gpu: GpuReader | None = None  # on a machine whose accelerator has memory of its own
        self.period = PERIOD_SECONDS
        self._watched: list[Watch] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._ticked = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._recent = deque([Sample(read_machine())])

    @property
    def latest(self) -> Sample:
        return self._recent[-1]

    def recent(self) -> list[Sample]:
        """The last 5 s, oldest first."""
        with self._lock:
            return list(self._recent)

    def start(self) -> None:
        if self.gpu:
            self.gpu.start()
        self._thread.start()

    def stop(self) -> None:
        if self.gpu:
            self.gpu.stop()
        self._stopped.set()
        self._thread.join()

    def watch(self, watch: Watch) -> None:
        with self._lock:
            self._watched.append(watch)

    def unwatch(self, watch: Watch) -> None:
        """Its process group is gone. No signal is sent on its account after this returns."""
        with self._lock:
            self._watched = [other for other in self._watched if other is not watch]

    def tick(self, now: float) -> None:
        """Read everything once and judge it. `now` is on the monotonic clock."""
        late = now - self._ticked - self.period
        self._ticked = now
        table = sessions()
        with self._lock:
            for watch in self._watched:
                if late > LATE_SECONDS:
                    watch.pulse.forgive(late)
                self._observe(watch, table)
                enforce(watch, now)
            workers = tuple(map(_sample_of, self._watched))
            held = sum(one.kept for one in self._watched)
        sample = Sample(read_machine(), workers, held)
        with self._lock:
            self._recent.append(sample)
            while len(self._recent) * self.period > RECENT_SECONDS:
                self._recent.popleft()

    def _observe(self, watch: Watch, table: Sessions) -> None:
        if watch.group is None:
            return
        try:
            pids = watch.group.members(table)
            on_gpu = self.gpu.of(pids) if self.gpu else 0
            found = self._read(pids, exact_above=watch.lease + watch.tolerance - on_gpu)
        except ReadingFailed as error:
            watch.note_failure(str(error))
            return
        if found is not None:
            watch.note(found.with_gpu(on_gpu))

    def _run(self) -> None:
        while not self._stopped.wait(self.period):
            try:
                self.tick(time.monotonic())
            except Exception:
                log.exception("sampler_tick_failed")


def _sample_of(watch: Watch) -> WorkerSample:
    held, peak = watch.footprint or 0, watch.peak or 0
    return WorkerSample(watch.kind, watch.holder, held, peak, watch.lease, watch.lease_id)
