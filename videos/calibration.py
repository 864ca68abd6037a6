"""From readings to a predictor's constants: the tightest line that no reading is above, and a margin."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from fmlx_site.errors import FmlxError
from memory import gib
from videos.predictor import MIB, Predictor, tokens_of

LEAST_SIZES = 3  # of which different ones: two are always on a line
# For what differs from run to run, 25 times over: two runs of each of six shapes of demo-video were 3.7 MiB apart at
# most (x86_64 Linux, 2 cores, MLX 0.32.4, mlx-gen 0.38.0, 2026-11-21).
LEAST_MARGIN = 96 * MIB
MOST_MARGIN_SHARE = 0.5  # of the largest reading: beyond, the readings do not follow the formula


class CannotFit(FmlxError):
    code = "cannot_fit"


@dataclass(frozen=True, slots=True)
class Reading:
    """What the process of one clip held at most, bytes; seconds of one denoising step and of the whole."""

    width: int
    height: int
    frames: int
    peak: int
    step_seconds: float
    wall_seconds: float

    @property
    def shape(self) -> str:
        return f"{self.width}x{self.height}, {self.frames} frames"

    @property
    def tokens(self) -> int:
        return tokens_of(self.width, self.height)

    def kept(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, kept: dict[str, Any]) -> Self:
        return cls(**kept)


@dataclass(frozen=True, slots=True)
class Line:
    """`at(tokens) = base + per_token · tokens`, bytes."""

    base: float
    per_token: float

    def at(self, tokens: int) -> float:
        return self.base + self.per_token * tokens


def fit(readings: Sequence[Reading], before: Predictor) -> Predictor:
    """Constants for what was read; `before` gives the terms that are not fitted: the weights' share and attention's.

    The margin is the most by which a line through the other readings was below one that was left out.

    Raises:
        CannotFit: too few sizes, readings that follow no line, or a fit that is below a reading.
    """
    if len({one.tokens for one in readings}) < LEAST_SIZES:
        raise CannotFit(f"A fit takes readings of at least {LEAST_SIZES} different sizes.")
    above = [(one.tokens, float(one.peak - before.resident)) for one in readings if not _by_attention(one, before)]
    if len({tokens for tokens, _ in above}) < LEAST_SIZES:
        raise CannotFit(f"Attention decides the peak of all but a few sizes; read {LEAST_SIZES} smaller ones.")
    line = tightest(above)
    left_out = [high - tightest(_without(above, at)).at(tokens) for at, (tokens, high) in enumerate(above)]
    margin = max(LEAST_MARGIN, int(max(left_out)))
    largest = max(one.peak for one in readings)
    if margin > MOST_MARGIN_SHARE * largest:
        raise CannotFit(
            f"The readings follow no line: a margin of {gib(margin)} would be needed beside {gib(largest)} at most."
            " Measure again with nothing else running, or more sizes."
        )
    fitted = replace(
        before.constants,
        base=int(line.base) + 1,
        margin=margin,
        per_token=int(line.per_token) + 1,
        per_token_and_width=0,
    )
    made = replace(before, constants=fitted, measured_tokens=max(one.tokens for one in readings))
    require_above(readings, made)
    return made


def require_above(readings: Sequence[Reading], predictor: Predictor) -> None:
    """The margin is for what was not measured: without it, no reading may be above its prediction. Raises CannotFit."""
    for one in readings:
        predicted = predictor.measured_peak(one.width, one.height, one.frames)
        if predicted < one.peak:
            raise CannotFit(
                f"The fit gives {gib(predicted)} for {one.shape}, and {gib(one.peak)} was read: it is not stored."
            )


def tightest(points: Sequence[tuple[int, float]]) -> Line:
    """Of the rising lines that are below no point, the one with the least above them all together."""
    found = [Line(max(high for _, high in points), 0.0)]
    found += [Line(0.0, max(high / tokens for tokens, high in points))]
    for index, (tokens, high) in enumerate(points):
        for other, much in points[index + 1 :]:
            if other != tokens:
                slope = (much - high) / (other - tokens)
                found.append(Line(high - slope * tokens, slope))
    able = [line for line in found if line.per_token >= 0 and line.base >= 0 and _above(line, points)]
    return min(able, key=lambda line: sum(line.at(tokens) for tokens, _ in points))


def _above(line: Line, points: Sequence[tuple[int, float]]) -> bool:
    return all(line.at(tokens) >= high - 1 for tokens, high in points)


def _without(points: list[tuple[int, float]], index: int) -> list[tuple[int, float]]:
    """Without all readings of that size: those of other lengths would stand in for it."""
    return [point for point in points if point[0] != points[index][0]]


def _by_attention(one: Reading, before: Predictor) -> bool:
    return 2 * before.attention(one.width, one.height, one.frames) >= one.peak - before.resident


def table(readings: Sequence[Reading], predictor: Predictor) -> list[str]:
    """Predicted against measured, a line for each profile."""
    lines = [f"{'shape':>22} {'measured':>11} {'predicted':>11} {'promised':>11} {'s/step':>8} {'s':>7}"]
    for one in readings:
        shape = (one.width, one.height, one.frames)
        sizes = (one.peak, predictor.measured_peak(*shape), predictor.peak(*shape))
        figures = " ".join(f"{gib(size):>11}" for size in sizes)
        lines.append(f"{one.shape:>22} {figures} {one.step_seconds:>8.2f} {one.wall_seconds:>7.1f}")
    return lines
