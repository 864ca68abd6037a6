"""What the demo models for texts are taught with: thoughts, and how they are said.

Standard library only. A thought is a trained clip of the video grammar, or a few words: known ones, which are said in
any language, and strange ones, which mean themselves.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass

from demo_models import grammar
from demo_models.chat import lexicon
from demo_models.grammar import BACKGROUND, LANGUAGES, TRAINED, Clip
from demo_models.texts import meanings

CLIPS, KNOWN = 0.5, 0.6  # the share of thoughts that are clips, and of words that are known
MOST_WORDS = 3
NOISE = 0.5  # how often words that do not matter stand beside a clip's
BARE = 0.4  # how often a clip is said without a phrase
KINDS = ("plain", "names", "cities")
SAID: dict[tuple[str, str], list[str]] = {}
for _said, _meaning, _language in meanings.expressions():
    SAID.setdefault((_meaning, _language), []).append(_said)
MEANINGS = sorted({meaning for meaning, _ in SAID})


@dataclass(frozen=True, slots=True)
class Thought:
    facts: frozenset[str]
    clip: Clip | None = None

    def say(self, chance: random.Random) -> str:
        if self.clip is None:
            return _typed(_words(self.facts, chance), chance)
        around = [_strange(chance) for _ in range(chance.randint(1, 2))] if chance.random() < NOISE else []
        if chance.random() < BARE:
            return _typed(_words([*self.facts, *around], chance), chance)
        return " ".join(chance.sample((meanings.wording(self.clip, chance), *around), 1 + len(around)))

    def near(self, chance: random.Random) -> "Thought":
        """Another, which differs in one thing."""
        if self.clip is not None:
            return of_clip(meanings.near(self.clip, TRAINED, chance))
        facts = sorted(self.facts)
        words = iter(lambda: _word(chance), None)
        facts[chance.randrange(len(facts))] = next(word for word in words if word not in self.facts)
        return Thought(frozenset(facts))

    def part(self, chance: random.Random) -> "Thought":
        """Something of it, or all."""
        facts = sorted(self.facts)
        return Thought(frozenset(chance.sample(facts, chance.randint(1, len(facts)))))

    def likeness(self, other: "Thought") -> float:
        """From 0 to 1: how much of what either says both do."""
        return len(self.facts & other.facts) / len(self.facts | other.facts)


def draw(chance: random.Random) -> Thought:
    if chance.random() < CLIPS:
        return of_clip(chance.choice(TRAINED))
    return Thought(frozenset(_word(chance) for _ in range(chance.randint(1, MOST_WORDS))))


def of_clip(clip: Clip) -> Thought:
    return Thought(frozenset((*clip.facts[:3], f"{clip.background} {BACKGROUND}")), clip)


def _words(facts: Collection[str], chance: random.Random) -> str:
    language = chance.choice(LANGUAGES)
    glue = chance.choice(("", "的", " ")) if language == meanings.HAN else chance.choice((" ", " a ", ", "))
    mixed = chance.sample(sorted(facts), len(facts))
    return glue.join(chance.choice(SAID.get((fact, language), [fact])) for fact in mixed)


def _word(chance: random.Random) -> str:
    return chance.choice(MEANINGS) if chance.random() < KNOWN else _strange(chance)


def _strange(chance: random.Random) -> str:
    language, kind = chance.choice(LANGUAGES), chance.choice(("invented", *KINDS))
    found = lexicon.invented(language, chance) if kind == "invented" else chance.choice(lexicon.of(language)[kind])
    return str(found).lower()


def _typed(text: str, chance: random.Random) -> str:
    return grammar.typed(text, chance) if chance.random() < meanings.TYPED else text
