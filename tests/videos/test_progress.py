from itertools import pairwise

import pytest

from videos.progress import PHASES, Meter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_percent_never_goes_back_and_ends_below_a_hundred():
    meter = Meter(clock=Clock())
    percents = [meter.read(phase, step, 4)[0] for phase in PHASES for step in range(5)]
    assert all(later >= earlier for earlier, later in pairwise(percents))
    assert percents[0] == 0
    assert percents[-1] == 99


def test_seconds_left_follow_the_pace_of_this_run():
    clock = Clock()
    meter = Meter(expected={"denoising": 80.0, "decoding": 20.0}, clock=clock)
    clock.now = 80.0  # half of the denoising took twice as long as it should
    percent, eta = meter.read("denoising", 5, 10)
    assert percent == 40
    assert eta == pytest.approx(120.0, rel=0.01)


def test_there_is_no_estimate_before_anything_was_done():
    assert Meter(clock=Clock()).read("loading", 0, 1) == (0, None)
