"""The bounds that the gate goes by, beside the peaks that MLX measures on the machine this runs on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.inference.engine.conftest import FAMILIES

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(400)]  # forty loads of a family take a minute or more
PEAKS = Path(__file__).with_name("peaks.py")
FAR = 1000


@pytest.mark.parametrize("kind", FAMILIES)
def test_no_peak_is_above_its_bound(
    kind: str, run_in_runtime: Callable[..., str], demo_models: dict[str, Path]
) -> None:
    rows = json.loads(run_in_runtime(PEAKS, demo_models[kind]))
    assert len(rows) == 40
    assert [row for row in rows if row[2] < row[3]] == []
    ratios = sorted(bound / peak for what, context, bound, peak in rows if what == "chunk" and context >= FAR)
    if kind == "chat":  # in the others some layers cost less with a long context than the bound says
        assert ratios[len(ratios) // 2] < 1.25
