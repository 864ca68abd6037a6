"""What MLX and the operating system say this process holds. Bytes."""

import ctypes
import os
import sys

import mlx.core as mx

RUSAGE_INFO_V0 = 0
RUSAGE_SIZE, FOOTPRINT_AT = 96, 72  # struct rusage_info_v0 of <sys/resource.h>, ri_phys_footprint


def backend() -> str:
    if mx.metal.is_available():
        return "metal"
    return "cuda" if mx.cuda.is_available() else "cpu"


class LiveReadings:
    def __init__(self) -> None:
        self._footprint = {"metal": _macos, "cpu": _linux if sys.platform == "linux" else _macos}.get(backend())
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    @property
    def names(self) -> list[str]:
        return ["active", "peak", *(["footprint"] if self._footprint else [])]

    def active(self) -> int:
        return mx.get_active_memory()

    def cached(self) -> int:
        return mx.get_cache_memory()

    def peak(self) -> int:
        return mx.get_peak_memory()

    def reset_peak(self) -> None:
        mx.reset_peak_memory()

    def footprint(self) -> int | None:
        return self._footprint() if self._footprint else None

    def release(self) -> None:
        mx.clear_cache()
        if self._libc is not None and hasattr(self._libc, "malloc_trim"):
            self._libc.malloc_trim(0)  # glibc keeps freed pages otherwise


def _linux() -> int | None:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - read before every chunk: 10 us, not 30
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _macos() -> int | None:
    usage = (ctypes.c_uint8 * RUSAGE_SIZE)()
    if ctypes.CDLL(None).proc_pid_rusage(os.getpid(), RUSAGE_INFO_V0, ctypes.byref(usage)) != 0:
        return None
    return int.from_bytes(bytes(usage[FOOTPRINT_AT : FOOTPRINT_AT + 8]), sys.byteorder)
