"""`phys_footprint` of a process on macOS, through `proc_pid_rusage`. It has not been run on a Mac here: its parsing is
tested on bytes laid out by hand from Apple's header (`rusage_info_v4`; xnu, bsd/sys/resource.h).
"""

import ctypes
import errno
import functools
import os
import struct

from memory.footprint import Footprint, ReadingFailed

RUSAGE_INFO_V4 = 4
LAYOUT = struct.Struct("=16s35Q")  # ri_uuid, then 35 counters
PHYS_FOOTPRINT, LIFETIME_MAX_PHYS_FOOTPRINT = 8, 29  # places in LAYOUT: ri_phys_footprint, ri_lifetime_max_…


def read_usage(pid: int) -> Footprint | None:
    """None when the process is gone. Raises ReadingFailed."""
    buffer = ctypes.create_string_buffer(LAYOUT.size)
    if _library().proc_pid_rusage(pid, RUSAGE_INFO_V4, buffer) == 0:
        return parse_usage(buffer.raw)
    code = ctypes.get_errno()
    if code == errno.ESRCH:
        return None
    raise ReadingFailed(f"proc_pid_rusage({pid}): {os.strerror(code)}")


def parse_usage(raw: bytes) -> Footprint:
    values = LAYOUT.unpack(raw)
    held = values[PHYS_FOOTPRINT]
    return Footprint(held, values[LIFETIME_MAX_PHYS_FOOTPRINT], kept=held)


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("/usr/lib/libproc.dylib", use_errno=True)
    library.proc_pid_rusage.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
    library.proc_pid_rusage.restype = ctypes.c_int
    return library
