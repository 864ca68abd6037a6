"""What a worker's reader, the sampler and the watchdog know about one worker."""

import time
from dataclasses import dataclass, field

from memory.footprint import Footprint
from memory.processes import ProcessGroup


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why the node ended a worker: a stable code, and a sentence with the figures."""

    code: str
    message: str


@dataclass(slots=True)
class Pulse:
    """Signs of life on the monotonic clock, set by the thread that reads the worker's socket."""

    heartbeat: float = field(default_factory=time.monotonic)
    progress: float = field(default_factory=time.monotonic)
    open: bool = True
    fault: str = ""  # what the worker said that is not of the protocol

    def beat(self) -> None:
        self.heartbeat = time.monotonic()

    def advance(self) -> None:
        self.heartbeat = self.progress = time.monotonic()

    def forgive(self, seconds: float) -> None:
        """The node did not run for so long, and could not have heard the worker."""
        self.heartbeat += seconds
        self.progress += seconds


@dataclass(slots=True)
class Watch:
    """One worker under watch. Sizes in bytes, times in seconds; written by the sampler's thread once it is watched."""

    kind: str
    holder: str
    lease: int
    tolerance: int
    pulse: Pulse
    timeout: float | None
    stall: float | None
    group: ProcessGroup | None = None
    lease_id: int | None = None
    launched: float = field(default_factory=time.monotonic)
    footprint: int | None = None
    kept: int = 0
    peak: int | None = None
    failed_readings: int = 0
    failed_because: str = ""
    verdict: Verdict | None = None
    kill_at: float | None = None

    def anew(self, holder: str, timeout: float | None, stall: float | None) -> None:
        """The same worker, on something else."""
        self.timeout = self.stall = None  # before the clocks, as the watchdog may look in between
        self.holder, self.peak, self.launched = holder, None, time.monotonic()
        self.pulse.advance()
        self.timeout, self.stall = timeout, stall

    def note(self, reading: Footprint) -> None:
        self.footprint, self.kept, self.failed_readings = reading.bytes, reading.kept, 0
        self.peak = max(self.peak or 0, reading.bytes, reading.lifetime)

    def note_failure(self, reason: str) -> None:
        self.failed_readings += 1
        self.failed_because = reason
