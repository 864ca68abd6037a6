"""Who multiplies: one thread for a small model, all for a large one."""

import json
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.runtime

COUNTED = """
import ctypes, json, sys
from inference.engine import blas
count = getattr(ctypes.CDLL(None), "openblas_get_num_threads", None)
counts = []
for weights in (1 << 30, 1 << 20):
    blas.settle(weights)
    counts.append(count() if count else 1)
sys.stdout.write(json.dumps(counts))
"""


def test_a_small_model_has_one_thread_and_a_large_one_what_there_is(run_in_runtime: Callable[..., str]) -> None:
    large, small = json.loads(run_in_runtime("-c", COUNTED))
    assert small == 1 <= large
