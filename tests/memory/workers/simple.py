"""A worker that does what its spec says: `{"do": name, ...}`."""

import argparse
import mmap
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memory.protocol import Channel, WorkerFailed, serve

Spec = dict[str, Any]
FOREVER = threading.Event()


def report(channel: Channel, spec: Spec) -> Spec:
    """Say what this process was given."""
    channel.event("working", step=1)
    return {"got": spec, "environment": dict(os.environ), "cwd": str(Path.cwd()), "session": os.getsid(0)}


def fail(channel: Channel, spec: Spec) -> Spec:
    raise WorkerFailed("out_of_luck", "It did not work.", "Nobody knows why.")


def flood(channel: Channel, spec: Spec) -> Spec:
    """Print numbered lines of 100 bytes."""
    for number in range(spec["lines"]):
        sys.stdout.write(f"line {number:<94}\n")
    sys.stdout.flush()
    return {}


def say(channel: Channel, spec: Spec) -> Spec:
    """Put raw bytes on the wire."""
    channel._sock.sendall(bytes.fromhex(spec["hex"]))
    FOREVER.wait(spec.get("seconds", 0))
    return {}


def be_stubborn(channel: Channel, spec: Spec) -> Spec:
    """Go on whatever is asked; SIGTERM is ignored since the start of the process."""
    channel.event("stubborn")
    FOREVER.wait()
    return {}


def stop_itself(channel: Channel, spec: Spec) -> Spec:
    channel.event("stopping")
    os.kill(os.getpid(), signal.SIGSTOP)
    return {}


def wait(channel: Channel, spec: Spec) -> Spec:
    """Obedient and idle: the heartbeat goes on, progress does not."""
    channel.event("waiting")
    channel.stopping.wait()
    channel.checkpoint()
    return {}


def grow(channel: Channel, spec: Spec) -> Spec:
    """Touch memory until it is held, then wait."""
    block = mmap.mmap(-1, spec["bytes"])
    for offset in range(0, spec["bytes"], mmap.PAGESIZE):
        block[offset] = 1
    channel.event("grown", bytes=spec["bytes"])
    channel.stopping.wait()
    block.close()
    return {}


def hang_up(channel: Channel, spec: Spec) -> Spec:
    """Close the socket and go on."""
    channel.close()
    FOREVER.wait()
    return {}


def grow_in_steps(channel: Channel, spec: Spec) -> Spec:
    """Take `bytes` more every `seconds`, and say how much that is by now, until ended."""
    blocks: list[mmap.mmap] = []
    while not channel.stopping.wait(spec["seconds"]):
        block = mmap.mmap(-1, spec["bytes"])
        for offset in range(0, spec["bytes"], mmap.PAGESIZE):
            block[offset] = 1
        blocks.append(block)
        channel.event("grown", bytes=spec["bytes"] * len(blocks))
    return {}


def leave_child(channel: Channel, spec: Spec) -> Spec:
    """End while a child of this worker goes on."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.sigwait([signal.SIGUSR1])"])
    return {"child": child.pid}


def count_lines(channel: Channel, spec: Spec) -> Spec:
    """Answer every request with its size, until asked to end."""
    channel.event("counting")
    while (message := channel.inbox.get())["type"] == "request":
        channel.event("counted", number=message["number"], length=len(message["text"]))
    return {}


TRADES = (
    flood,
    report,
    fail,
    say,
    be_stubborn,
    stop_itself,
    wait,
    grow,
    grow_in_steps,
    hang_up,
    leave_child,
    count_lines,
)
WORK: dict[str, Callable[[Channel, Spec], Spec]] = {work.__name__: work for work in TRADES}


def work(channel: Channel, spec: Spec) -> Spec:
    return WORK[spec["do"]](channel, spec)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--ignore-sigterm", action="store_true")
    arguments = parser.parse_args()
    if arguments.ignore_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(serve(Channel.inherited(arguments.fd), "test", "test", {"python": "3"}, work))
