"""A fit is above everything that was read, and by no more than it has to be; what does not fit is refused."""

from dataclasses import replace

import pytest

from inference.models import ModelFolder
from memory.models import Node
from tests.videos.test_predictor import DEMO, ON_CPU, folder
from videos.calibration import LEAST_MARGIN, CannotFit, Reading, fit, require_above, tightest
from videos.models import Calibration
from videos.predictor import Predictor, built_in, predict

MIB, GB = 1024**2, 1000**3


def readings(peaks: dict[tuple[int, int, int], int]) -> list[Reading]:
    return [Reading(*shape, peak=peak, step_seconds=1.0, wall_seconds=5.0) for shape, peak in peaks.items()]


def before() -> Predictor:
    return built_in(folder("cpu", 2 * MIB, DEMO))


def test_every_reading_is_at_or_under_its_prediction_and_the_fit_is_tighter_than_before() -> None:
    measured = readings(ON_CPU)
    fitted = fit(measured, before())
    over = [fitted.measured_peak(one.width, one.height, one.frames) - one.peak for one in measured]
    assert min(over) >= 0
    assert sum(over) < sum(before().measured_peak(*shape) - peak for shape, peak in ON_CPU.items())
    assert fitted.constants.margin >= LEAST_MARGIN


def test_the_tightest_line_is_under_no_point() -> None:
    line = tightest([(1, 10_000.0), (2, 21_000.0), (3, 30_000.0), (4, 39_000.0)])
    assert (line.base, line.per_token) == (3_000.0, 9_000.0)
    flat = tightest([(1, 10_000.0), (2, 9_000.0), (3, 8_000.0)])
    assert (flat.base, flat.per_token) == (10_000.0, 0.0)


def test_the_margin_covers_a_size_that_was_left_out() -> None:
    bump = {(64, 64, 17): GB, (96, 96, 17): 1_500_000_000, (128, 128, 17): 1_600_000_000, (160, 160, 17): 2 * GB}
    assert fit(readings(bump), before()).constants.margin > 150_000_000


def test_a_fit_under_one_reading_is_refused() -> None:
    measured = readings(ON_CPU)
    fitted = fit(measured, before())
    low = replace(fitted, constants=replace(fitted.constants, base=fitted.constants.base - 10 * MIB))
    with pytest.raises(CannotFit, match=r"The fit gives .* GiB for \d+x\d+, \d+ frames, and .* it is not stored"):
        require_above(measured, low)


@pytest.mark.parametrize(
    ("peaks", "why"),
    [
        ({(64, 64, 17): GB, (64, 64, 49): GB, (96, 96, 17): GB}, "at least 3 different sizes"),
        ({(64, 64, 17): GB, (96, 96, 17): 9 * GB, (128, 128, 17): GB, (160, 160, 17): GB}, "follow no line"),
    ],
)
def test_readings_that_give_no_fit_are_refused(peaks: dict[tuple[int, int, int], int], why: str) -> None:
    with pytest.raises(CannotFit, match=why):
        fit(readings(peaks), before())


@pytest.mark.django_db
def test_jobs_are_promised_memory_by_what_was_measured_and_beyond_it_by_no_less_than_before() -> None:
    node = Node.objects.create(name="here", boot_id="1", pid=1, ceiling_terms={"inputs": {"backend": "cpu"}})
    made = ModelFolder.objects.create(
        node=node, name="m", path="/m", type="video", pipeline="wan2.2-t2v-a14b", resident_bytes=2 * MIB, sizes=DEMO
    )
    small = {shape: peak for shape, peak in ON_CPU.items() if shape[0] <= 160}
    fitted = fit(readings(small), built_in(made))
    otherwise = predict(made, 480, 272, 17)
    Calibration.objects.create(
        node=node, model="m", pipeline=made.pipeline, backend="cpu", constants=fitted.kept(),
        measured_tokens=fitted.measured_tokens, readings=[], machine="this one",
    )  # fmt: skip
    assert predict(made, 160, 160, 17) == fitted.peak(160, 160, 17) < built_in(made).peak(160, 160, 17)
    assert predict(made, 480, 272, 17) >= otherwise
