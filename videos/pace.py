"""How long a clip will take, phase by phase, from what clips of the same model took before."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from videos.models import VideoJob
from videos.shape import FRAMES_PER_LATENT

LOOK_BACK = 50
TOKEN_PIXELS = 256  # a token covers 16 x 16 pixels of a latent frame
LEAST, USUAL, MOST = 1.0, 1.3, 2.0  # powers of the tokens: denoising is linear layers and, among them, attention
PER_PIXEL = ("decoding", "muxing", "verifying")


@dataclass(frozen=True, slots=True)
class Run:
    """The shape of a clip, and the seconds of each phase that it took."""

    width: int
    height: int
    frames: int
    steps: int
    seconds: Mapping[str, float]

    @property
    def tokens(self) -> float:
        return self.width * self.height / TOKEN_PIXELS * ((self.frames - 1) // FRAMES_PER_LATENT + 1)

    @property
    def pixels(self) -> float:
        return float(self.width * self.height * self.frames)

    @property
    def a_step(self) -> float:
        return self.seconds["denoising"] / self.steps


def expected(model: str, *, width: int, height: int, frames: int, steps: int) -> dict[str, float]:
    """Seconds of each phase; empty when the model has made nothing yet. Synchronous."""
    return of_shape(runs_of(model), Run(width, height, frames, steps, {}))


def of_shape(runs: Sequence[Run], asked: Run) -> dict[str, float]:
    """By the newest run of this very shape, or from the nearest one in proportion: denoising by steps and a power of
    the tokens that the model's own runs give, decoding and what follows by pixels.
    """
    if not runs:
        return {}
    same = [run for run in runs if (run.tokens, run.steps, run.width) == (asked.tokens, asked.steps, asked.width)]
    if same:
        return dict(same[0].seconds)
    near = min(runs, key=lambda run: abs(math.log(run.tokens / asked.tokens)) + abs(math.log(run.steps / asked.steps)))
    return _in_proportion(near, asked, power_of(runs))


def _in_proportion(near: Run, asked: Run, power: float) -> dict[str, float]:
    factors = dict.fromkeys(PER_PIXEL, asked.pixels / near.pixels)
    factors["denoising"] = asked.steps / near.steps * (asked.tokens / near.tokens) ** power
    return {phase: seconds * factors.get(phase, 1.0) for phase, seconds in near.seconds.items()}


def power_of(runs: Sequence[Run]) -> float:
    """By least squares over the logarithms; the usual one while all runs had the same size."""
    points = [(math.log(run.tokens), math.log(run.a_step)) for run in runs if run.a_step > 0]
    if len({x for x, _ in points}) < 2:  # noqa: PLR2004 - a line needs two points
        return USUAL
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / sum((x - mean_x) ** 2 for x, _ in points)
    return float(min(MOST, max(LEAST, slope)))


def upscaling(job: VideoJob) -> float | None:
    """Seconds to make it larger, in proportion to what it took the last time with that model. Synchronous."""
    done = VideoJob.objects.filter(upscaled=True, upscale=job.upscale).order_by("-completed_at").first()
    last = done.attempts.filter(outcome="completed").last() if done else None
    if done is None or last is None:
        return None
    before, now = (one.width * one.height * one.total_frames for one in (done, job))
    return float(last.manifest["upscale"]["wall_seconds"]) * now / before


def runs_of(model: str) -> list[Run]:
    """The newest first; only attempts that did the whole of a clip."""
    done = VideoJob.objects.filter(status=VideoJob.Status.COMPLETED, model=model).order_by("-completed_at")
    runs = []
    for job in done.prefetch_related("attempts")[:LOOK_BACK]:
        last = [attempt for attempt in job.attempts.all() if attempt.outcome == "completed"][-1:]
        seconds = last[0].manifest.get("phase_seconds", {}) if last else {}
        if last and last[0].number == 1 and {"denoising", "decoding"} <= seconds.keys():
            runs.append(Run(job.width, job.height, job.frames, job.steps, seconds))
    return runs
