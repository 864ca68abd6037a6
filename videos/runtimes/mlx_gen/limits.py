"""Keeping MLX inside the lease, and saying how much it took."""

import ctypes
import os
import resource
import sys
from collections.abc import Callable
from functools import partial

import mlx.core as mx

GIB = 1024**3
# What the process needs outside MLX's own buffers (interpreter, codecs, page tables): oMLX uses the same 2 GB.
OUTSIDE_MLX_BYTES = 2 * GIB
LEAST_WIRED_BYTES = 1 * GIB
# mlx-gen's own low-RAM cache limit (RuntimeMemory.DEFAULT_LOW_RAM_CACHE_LIMIT_BYTES, 0.38.0) and, without low-RAM,
# the largest its machine ladder gives.
LOW_RAM_CACHE_BYTES = 1000**3
CACHE_BYTES = 8 * GIB


def wired_bytes(lease_bytes: int, recommended: int) -> int:
    """Of a lease, never more than Metal recommends. All leases together stay under that, and so do these."""
    return min(max(LEAST_WIRED_BYTES, lease_bytes - OUTSIDE_MLX_BYTES), lease_bytes, recommended)


def apply(lease_bytes: int, *, low_ram: bool) -> Callable[[], None]:
    """Bound MLX's wired memory, its allocations and its cache of freed buffers by the lease.

    Returns what has the same wired as before. That part, for Metal, is not run on hardware by this project's suite.
    """
    inside = max(LEAST_WIRED_BYTES, lease_bytes - OUTSIDE_MLX_BYTES)
    mx.set_cache_limit(min(LOW_RAM_CACHE_BYTES if low_ram else CACHE_BYTES, inside // 4))
    mx.set_memory_limit(inside)
    if not _has_gpu():
        mx.disable_compile()  # on a CPU it calls the system's C++ compiler: 1.7 s, or an error where there is none
    if not mx.metal.is_available():
        return lambda: None
    recommended = int(mx.device_info().get("max_recommended_working_set_size", inside))
    before = mx.set_wired_limit(wired_bytes(lease_bytes, recommended))
    return partial(mx.set_wired_limit, before)


def precision() -> mx.Dtype:
    """bfloat16 on a GPU. On a CPU float32: OpenBLAS multiplies it 20 to 60 times faster than MLX does bfloat16
    (measured on 2 cores of x86_64, MLX 0.32.4)."""
    return mx.bfloat16 if _has_gpu() else mx.float32


def _has_gpu() -> bool:
    return bool(mx.metal.is_available() or mx.cuda.is_available())


def mlx_peak_bytes() -> int:
    return int(mx.get_peak_memory())


def peak_memory_bytes() -> int:
    """The most this process ever held, as its operating system counts it."""
    if sys.platform == "darwin":
        return _peak_footprint()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _peak_footprint() -> int:
    """`ri_lifetime_max_phys_footprint` of `rusage_info_v4` (macOS, sys/resource.h): a 16-byte uuid and 35 counters."""
    version, uuid_bytes, counters, lifetime_max = 4, 16, 35, 28
    info = (ctypes.c_uint64 * (uuid_bytes // 8 + counters))()
    library = ctypes.CDLL("/usr/lib/libproc.dylib", use_errno=True)
    status = library.proc_pid_rusage(ctypes.c_int(os.getpid()), ctypes.c_int(version), ctypes.byref(info))
    if status != 0:
        raise OSError(ctypes.get_errno(), "proc_pid_rusage failed")
    return int(info[uuid_bytes // 8 + lifetime_max])
