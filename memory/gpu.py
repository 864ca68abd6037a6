"""What each process holds of an NVIDIA GPU's memory, as `nvidia-smi` lists it. A thin edge: the suite runs it on text
in the form of its output and not on hardware.

Read in a thread of its own once a second: a driver that hangs must not keep the watchdog from looking.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from memory.device import MIB, output_of

log = structlog.get_logger(__name__)
PERIOD_SECONDS = 1.0
STALE_SECONDS = 5.0
QUERY = ("nvidia-smi", "--id=0", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits")


@dataclass(frozen=True, slots=True)
class GpuReading:
    """Bytes by pid; or why there are none."""

    held: Mapping[int, int]
    missing: str = ""


def parse_apps(text: str | None) -> GpuReading:
    """Of the first GPU, which is MLX's default device. A process may have a line for each of its contexts, in MiB."""
    if text is None:
        return GpuReading({}, "nvidia-smi gave no answer")
    held: dict[int, int] = {}
    unknown = 0
    for line in text.splitlines():
        pid, _, used = (part.strip() for part in line.partition(","))
        if pid.isdecimal() and used.isdecimal():
            held[int(pid)] = held.get(int(pid), 0) + int(used) * MIB
        else:
            unknown += bool(line.strip())
    if unknown and not held:  # as under Windows' driver model, or where the GPU shares the machine's memory
        return GpuReading({}, f"the driver does not say what {unknown} processes hold")
    return GpuReading(held)


class GpuReader:
    """`of(pids)` is what they hold together by the latest reading, in bytes."""

    def __init__(self, read: Callable[[], str | None] = lambda: output_of(*QUERY)) -> None:
        self._read = read
        self._latest = GpuReading({}, "not read yet")
        self._read_at = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Does not wait for a driver that hangs."""
        self._stopped.set()

    @property
    def missing(self) -> str:
        """Why it is not known now what workers hold of the GPU; empty when it is."""
        late = time.monotonic() - self._read_at
        return self._latest.missing or (f"nothing was read for {late:.0f} s" if late > STALE_SECONDS else "")

    def of(self, pids: Iterable[int]) -> int:
        held = self._latest.held
        return sum(held.get(pid, 0) for pid in pids)

    def tick(self) -> None:
        before, self._latest = self._latest, parse_apps(self._read())
        self._read_at = time.monotonic()
        if self._latest.missing != before.missing:
            log.warning("gpu_reading", missing=self._latest.missing or "nothing, it is read again")

    def _run(self) -> None:
        while True:
            self.tick()
            if self._stopped.wait(PERIOD_SECONDS):
                return
