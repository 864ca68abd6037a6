"""What watching costs: the CPU time of the sampler's thread with 8 workers, as a share of one core.

The workers are real processes, some of them above their lease and within the tolerance.
`python -m benchmarks.sampler_cost`
"""

import subprocess
import sys
import time

from memory.processes import ProcessGroup
from memory.sampler import PERIOD_SECONDS, Sampler
from memory.watch import Pulse, Watch

MIB = 1024**2
WORKERS, ABOVE, HELD, TICKS, BOUND = 8, 2, 200 * MIB, 60, 0.01
HOLDER = "m = bytearray({size}); m[::4096] = b'x' * len(m[::4096]); print(flush=True); import signal; signal.pause()"


def main() -> None:
    children = [_worker() for _ in range(WORKERS)]
    try:
        sampler = Sampler()
        for number, child in enumerate(children):
            sampler.watch(_watch(child, lease=HELD // 2 if number < ABOVE else 2 * HELD))
        share = _share(sampler)
    finally:
        for child in children:
            child.kill()
            child.wait()
    verdict = "within" if share <= BOUND else "ABOVE"
    print(f"{WORKERS} workers, {ABOVE} above their lease: {share:.2%} of a core, {verdict} the bound of {BOUND:.0%}.")
    sys.exit(share > BOUND)


def _worker() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", HOLDER.format(size=HELD)]
    child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    return child


def _watch(child: subprocess.Popen[bytes], lease: int) -> Watch:
    group = ProcessGroup.of(child.pid)
    return Watch(
        kind="bench",
        holder=str(child.pid),
        lease=lease,
        tolerance=HELD,
        pulse=Pulse(),
        timeout=None,
        stall=None,
        group=group,
    )


def _share(sampler: Sampler) -> float:
    """CPU seconds of a tick over the seconds between two; in this thread, so that only it is counted."""
    begun = time.thread_time()
    for _ in range(TICKS):
        sampler.tick(time.monotonic())
        time.sleep(PERIOD_SECONDS / 5)  # caches as cold as between real ticks, in a fifth of the time
    return (time.thread_time() - begun) / TICKS / PERIOD_SECONDS


if __name__ == "__main__":
    main()
