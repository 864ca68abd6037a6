"""The programs that score the demo models and write their pages, as their owners run them."""

from collections.abc import Callable

import pytest

from demo_models import shipped
from tests.demo_models.conftest import VIDEOS


@pytest.mark.parametrize("name", VIDEOS)
def test_a_video_model_is_scored_by_its_frames(name: str, run_in_runtime: Callable[..., str]) -> None:
    said = run_in_runtime("-m", "demo_models.score", str(shipped.WEIGHTS / name), "--count", "1", "--kinds", "trained")
    assert said.startswith("trained: colour 1/1, direction 1/1, background 1/1")
