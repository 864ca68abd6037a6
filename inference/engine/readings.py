"""What MLX and the operating system say this process holds. Bytes."""

import ctypes
import os
import sys
from collections.abc import Callable

import mlx.core as mx

RUSAGE_INFO_V0 = 0
RUSAGE_SIZE, FOOTPRINT_AT = 96, 72  # struct rusage_info_v0 of <sys/resource.h>, ri_phys_footprint


def backend() -> str:
    if mx.metal.is_available():
        return "metal"
    return "cuda" if mx.cuda.is_available() else "cpu"


class LiveReadings:
    def __init__(self) -> None:
        self._footprint = _system_footprint()
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    @property
    def names(self) -> list[str]:
        return ["active", "peak", *(["footprint"] if self._footprint else [])]

    def active(self) -> int:
        return int(mx.get_active_memory())

    def cached(self) -> int:
        return int(mx.get_cache_memory())

    def peak(self) -> int:
        return int(mx.get_peak_memory())

    def reset_peak(self) -> None:
        mx.reset_peak_memory()

    def footprint(self) -> int | None:
        return self._footprint() if self._footprint else None

    def release(self) -> None:
        mx.clear_cache()
        if self._libc is not None and hasattr(self._libc, "malloc_trim"):
            self._libc.malloc_trim(0)  # glibc keeps freed pages otherwise


def _system_footprint() -> Callable[[], int | None] | None:
    if backend() == "cuda":  # the lease is about the GPU's memory, of which the system knows nothing
        return None
    return _macos if sys.platform == "darwin" else _Linux()


class _Linux:
    """RSS. The file is kept open: it is read before every step."""

    def __init__(self) -> None:
        self._fd = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        self._page = os.sysconf("SC_PAGE_SIZE")

    def __call__(self) -> int:
        return int(os.pread(self._fd, 64, 0).split()[1]) * self._page


def _macos() -> int | None:
    usage = (ctypes.c_uint8 * RUSAGE_SIZE)()
    if ctypes.CDLL(None).proc_pid_rusage(os.getpid(), RUSAGE_INFO_V0, ctypes.byref(usage)) != 0:
        return None
    return int.from_bytes(bytes(usage[FOOTPRINT_AT : FOOTPRINT_AT + 8]), sys.byteorder)
