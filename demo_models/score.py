"""python -m demo_models.score FOLDER: how often a demo model's clips show what their prompts say."""

import argparse
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx

from demo_models import scorer
from demo_models.grammar import CLIPS, HELD_OUT, LANGUAGES, TRAINED, Clip, prompt, typed
from demo_models.scene import picture_of
from demo_models.studio import Studio

SEED = 99
FACTS = ("colour", "direction", "background", "shape")
PLACE, NEAR = "place", 2.0  # pixels between the shape in the picture and in the first frame


@dataclass(frozen=True, slots=True)
class Trial:
    clip: Clip
    prompt: str
    seed: int


def trials(kind: str, count: int) -> Iterator[Trial]:
    """`trained`: combinations and phrases of the training; `held-out` combinations; `unseen` phrases; `empty`: the
    control, whose prompts say nothing."""
    chance = random.Random(SEED)  # noqa: S311  reproducible, not secret
    clips = {"trained": TRAINED, "held-out": HELD_OUT}.get(kind, CLIPS)
    for number in range(count):
        clip, language = chance.choice(clips), LANGUAGES[number % len(LANGUAGES)]
        text = typed(prompt(clip, language, chance, unseen=kind == "unseen"), chance)
        yield Trial(clip, "" if kind == "empty" else text, seed=1000 + number)


def main() -> int:
    parser = argparse.ArgumentParser(description="Score a demo model from the frames that it makes.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=42, help="prompts of each kind")
    parser.add_argument("--kinds", nargs="+", default=["trained", "held-out", "unseen", "empty"])
    parser.add_argument("--guidance", type=float, help="instead of the model's default")
    parser.add_argument("--steps", type=int, help="instead of the model's default")
    parser.add_argument("--verbose", action="store_true", help="name every clip that is not as asked")
    options = parser.parse_args()
    mx.set_default_device(mx.cpu)
    changes = {"steps": options.steps, "guidance_scale": options.guidance}
    studio = Studio(options.folder.absolute(), **{name: value for name, value in changes.items() if value is not None})
    for kind in options.kinds:
        _report(kind, studio, options.count, verbose=options.verbose)
    return 0


def _report(kind: str, studio: Studio, count: int, *, verbose: bool) -> None:
    judged = [*FACTS, PLACE] if studio.from_pictures else [*FACTS]
    right, began = dict.fromkeys(judged, 0), time.process_time()
    for trial in trials(kind, count):
        picture = picture_of(trial.clip, trial.seed) if studio.from_pictures else None
        frames = studio.clip(trial.prompt, trial.seed, picture)
        wrong = _wrong(trial.clip, scorer.look(frames))
        if picture is not None:
            wrong |= _wrong(trial.clip, scorer.still(frames[0])) - {"direction"}
            wrong |= {PLACE} if scorer.apart(picture, frames[0]) > NEAR else set()
        for fact in judged:
            right[fact] += fact not in wrong
        if wrong and verbose:
            away = "" if picture is None else f", {scorer.apart(picture, frames[0]):.1f} pixels away"
            sys.stdout.write(f"  {trial.prompt!r} (seed {trial.seed}): {scorer.look(frames)}{away}\n")
    shares = ", ".join(f"{fact} {right[fact]}/{count}" for fact in judged)
    sys.stdout.write(f"{kind}: {shares}; {(time.process_time() - began) / count:.2f} s CPU a clip\n")
    sys.stdout.flush()


def _wrong(clip: Clip, seen: scorer.Seen) -> set[str]:
    return {fact for fact in FACTS if getattr(seen, fact) != getattr(clip, fact)}


if __name__ == "__main__":
    sys.exit(main())
