"""The accelerator's own limit: the smallest of the ceiling's terms where there is one. A thin edge.

NVIDIA is read through `nvidia-smi`. Metal is read through `sysctl`; that part is tested on text in the
form of its output and has not been run on a Mac by this project's suite.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass

MIB = 1024**2
GIB = 1024**3
COMMAND_SECONDS = 10.0
# Metal's recommended working set when no limit is set: two thirds of RAM up to 36 GiB, three quarters above.
# As observed on Apple silicon from 8 to 192 GB; macOS does not document it.
METAL_SMALL_BYTES, METAL_SMALL_SHARE, METAL_LARGE_SHARE = 36 * GIB, 2 / 3, 3 / 4


@dataclass(frozen=True, slots=True)
class Device:
    kind: str  # cuda, metal
    name: str
    bytes: int


def read_device() -> Device | None:
    """None where there is no accelerator, or none that answers."""
    if sys.platform == "darwin":
        names = ("machdep.cpu.brand_string", "hw.memsize", "iogpu.wired_limit_mb")
        return parse_metal(*(_output("sysctl", "-n", name) for name in names))
    return parse_nvidia(_output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"))


def parse_nvidia(text: str) -> Device | None:
    """The first GPU, which is MLX's default device. Its memory is given in MiB."""
    first = text.strip().splitlines()[0] if text.strip() else ""
    name, _, total = first.rpartition(",")
    mib = total.strip()  # "[N/A]" where the GPU shares the machine's memory: the other terms hold there
    return Device("cuda", name.strip(), int(mib) * MIB) if mib.isdecimal() and int(mib) else None


def parse_metal(name: str, total: str, limit: str) -> Device | None:
    """`limit` is 0 until somebody sets `iogpu.wired_limit_mb`, and empty before macOS 14."""
    if not total.strip().isdecimal() or not int(total):
        return None
    memory, limit_mb = int(total), int(limit) if limit.strip().isdecimal() else 0
    share = METAL_SMALL_SHARE if memory <= METAL_SMALL_BYTES else METAL_LARGE_SHARE
    return Device("metal", name.strip(), limit_mb * MIB or int(memory * share))


def _output(*command: str) -> str:
    return output_of(*command) or ""


def output_of(*command: str) -> str | None:
    """What it printed; None when it is not installed, fails, or hangs (a broken driver does)."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")
