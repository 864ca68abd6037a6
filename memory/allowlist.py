"""The environment a worker gets: what is named here, and nothing else of the node's."""

import functools
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from memory.device import read_device

PASSED_ON = ("PATH", "HOME", "TMPDIR", "USER", "LANG", "LC_ALL")
OPENBLAS = ("*/openblas-pthread/libopenblas.so.0", "*/libopenblas.so.0", "libopenblas.so.0")
PROJECT = Path(__file__).resolve().parent.parent


def worker_environment(cwd: Path, extra: Mapping[str, str], mark: Mapping[str, str]) -> dict[str, str]:
    """`mark` tells a node that starts later whose worker this was; nothing in `extra` can hide it."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    ours = {
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "XDG_CACHE_HOME": str(cwd / "cache"),
    }
    blas = {"LD_PRELOAD": str(found)} if (found := _openblas()) else {}
    return {**passed, **ours, **blas, **extra, **mark}


@functools.cache
def _openblas() -> Path | None:
    """The mlx[cpu] wheel brings reference BLAS; OpenBLAS in its place is worth 20-60 times (DESIGN.md)."""
    if sys.platform != "linux" or read_device() is not None:
        return None
    folders = (Path("/usr/lib"), Path("/usr/lib64"))
    found = (path for folder in folders for pattern in OPENBLAS for path in sorted(folder.glob(pattern)))
    return next(found, None)
