"""What the demo models for texts are taught: wordings of one meaning belong together, in whatever language.

Standard library only. The meanings are the clips of the video grammar; a colour is either the shape's or the
background's, and "from left to right" is not "from right to left", so words alone do not tell them apart.
"""

import itertools
import random
from dataclasses import dataclass

from demo_models import grammar
from demo_models.grammar import CLIPS, HELD_OUT, LANGUAGES, TRAINED, Clip

TYPED = 0.3  # how often a wording comes as people type it
NEAR = 0.7  # how often another meaning differs in one thing only


@dataclass(frozen=True, slots=True)
class Trial:
    """`same` means what `said` means, and `other` does not."""

    said: str
    same: str
    other: str


def wording(clip: Clip, chance: random.Random, *, unseen: bool = False) -> str:
    text = grammar.prompt(clip, chance.choice(LANGUAGES), chance, unseen=unseen)
    return grammar.typed(text, chance) if chance.random() < TYPED else text


def pairs(chance: random.Random, count: int) -> list[tuple[str, str]]:
    """Two wordings for each of `count` different clips."""
    return [(wording(clip, chance), wording(clip, chance)) for clip in chance.sample(TRAINED, count)]


def near(clip: Clip, chance: random.Random, among: tuple[Clip, ...] = TRAINED) -> Clip:
    """Another that differs in one thing, or where there is none, in as few as possible."""
    distances = {other: _distance(clip, other) for other in among if other != clip}
    least = min(distances.values())
    return chance.choice([other for other, distance in distances.items() if distance == least])


def judged(chance: random.Random, count: int) -> list[tuple[str, str, bool]]:
    """Pairs of wordings, and whether they mean the same: every second one does; most others differ in one thing."""
    found = []
    for number, clip in enumerate(chance.choices(TRAINED, k=count)):
        same = number % 2 == 0
        far = chance.choice([other for other in TRAINED if other != clip])
        other = clip if same else near(clip, chance) if chance.random() < NEAR else far
        found.append((wording(clip, chance), wording(other, chance), same))
    return found


def trials(count: int, seed: int, *, unseen: bool = False) -> list[Trial]:
    """Of clips that training never saw, against others that differ in one thing and against any; with `unseen`, said
    in phrases that it never saw either."""
    chance = random.Random(seed)  # noqa: S311  reproducible, not secret
    found = []
    for number, clip in zip(range(count), itertools.cycle(HELD_OUT), strict=False):
        any_other = chance.choice([other for other in CLIPS if other != clip])
        other = near(clip, chance, CLIPS) if number % 2 else any_other
        said, same = wording(clip, chance), wording(clip, chance, unseen=unseen)
        while same == said:
            same = wording(clip, chance, unseen=unseen)
        found.append(Trial(said, same, wording(other, chance, unseen=unseen)))
    return found


def _distance(one: Clip, other: Clip) -> int:
    return sum(left != right for left, right in zip(one.facts, other.facts, strict=True))
