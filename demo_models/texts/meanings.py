"""What the demo models for texts know: wordings of one meaning belong together, in whatever language.

Standard library only. The meanings are the clips of the video grammar. A colour is either the shape's or the
background's, and "from left to right" is not "from right to left": single words do not tell them apart.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from demo_models import grammar
from demo_models.chat.lexicon import DICTIONARY
from demo_models.grammar import BACKGROUND, BACKGROUNDS, CLIPS, COLOURS, DIRECTIONS, LANGUAGES, SHAPES, Clip

TYPED = 0.3  # how often a wording comes as people type it
HAN = "zh"
MARKS = ".,:;!?-–—…()[]«»„“”‘’，。！？；：、（）《》"


@dataclass(frozen=True, slots=True)
class Trial:
    """`same` means what `said` means, and `other` does not."""

    said: str
    same: str
    other: str


def trials(count: int, seed: int, *, unseen: bool = False, clips: Sequence[Clip] = CLIPS) -> list[Trial]:
    """`clips` are what is said. Every second `other` differs in one thing, the rest in any; with `unseen`, both `same`
    and `other` are said in other phrases."""
    chance = random.Random(seed)  # noqa: S311  reproducible, not secret
    found = []
    for number in range(count):
        clip = chance.choice(clips)
        other = near(clip, CLIPS, chance) if number % 2 else chance.choice([one for one in CLIPS if one != clip])
        said, same = wording(clip, chance), wording(clip, chance, unseen=unseen)
        while same == said:
            same = wording(clip, chance, unseen=unseen)
        found.append(Trial(said, same, wording(other, chance, unseen=unseen)))
    return found


def wording(clip: Clip, chance: random.Random, *, unseen: bool = False) -> str:
    text = grammar.prompt(clip, chance.choice(LANGUAGES), chance, unseen=unseen)
    return grammar.typed(text, chance) if chance.random() < TYPED else text


def near(clip: Clip, clips: Sequence[Clip], chance: random.Random) -> Clip:
    """One of `clips` that differs in one thing."""
    return chance.choice([other for other in clips if _distance(clip, other) == 1])


def _distance(one: Clip, other: Clip) -> int:
    return sum(left != right for left, right in zip(one.facts, other.facts, strict=True))


def expressions() -> Iterator[tuple[str, str, str]]:
    """Every expression, what it means, and its language."""
    for language in LANGUAGES:
        words = grammar.WORDS[language]
        for meaning in (*COLOURS, *SHAPES, *DIRECTIONS):
            yield from ((said, meaning, language) for said in words[meaning])
        for colour in BACKGROUNDS:
            yield from ((said, f"{colour} {BACKGROUND}", language) for said in _backgrounds(colour, language))
        yield from ((row[language], row["en"], language) for row in DICTIONARY)


def fillers() -> Iterator[tuple[str, str]]:
    """What stands in the phrases between the words that mean something, and marks; of which language. Those of HAN need
    not stand alone: Chinese is written without blanks."""
    yield from ((mark, HAN) for mark in MARKS)
    for language in LANGUAGES:
        phrases = (*grammar.PHRASES[language], *grammar.OPENINGS[language], *grammar.CLOSINGS[language])
        for phrase in phrases:
            for part in re.split(r"\{.\}", phrase):
                pieces = re.findall(r"\w+", part.lower())
                letters = "".join(pieces) if language == HAN else ""
                yield from ((piece, language) for piece in (*pieces, *letters))


def _backgrounds(colour: str, language: str) -> Iterator[str]:
    words = grammar.WORDS[language]
    if language == "ru":
        yield f"{grammar.PREPOSITIONAL[colour]} фоне"
        yield f"{words[colour][0]} фон"
        return
    between = ("", "的") if language == HAN else (" ",)
    yield from (f"{said}{glue}{words[BACKGROUND][0]}" for said in words[colour] for glue in between)
