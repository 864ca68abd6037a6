"""A few words and things: opposites, translations, colours, lists of three."""

import random

from demo_models.chat import lexicon
from demo_models.chat.conversation import LANGUAGES, Conversation, single, typed


def opposite(chance: random.Random, language: str) -> Conversation:
    pair = chance.choice(lexicon.opposites(language))
    word, other = pair if chance.random() < 0.5 else pair[::-1]
    said = typed(_asked("opposite", chance, language).format(w=word), language, chance)
    return single("opposite", language, said, other, f"{word}: {other}.")


def translation(chance: random.Random, language: str) -> Conversation:
    """The language that is spoken is the word's own or the one that is asked for."""
    row = chance.choice(lexicon.DICTIONARY)
    source, target = chance.sample(LANGUAGES, 2)
    if language not in {source, target}:
        source = language
    tongue = lexicon.of(language)["tongues"][target]
    said = typed(_asked("translate", chance, language).format(w=row[source], t=tongue), language, chance)
    return single("translation", language, said, row[target], f"{row[source]}: {row[target]}.")


def colour(chance: random.Random, language: str) -> Conversation:
    things = lexicon.of(language)["colours"]
    thing = chance.choice(list(things))
    found, answer = things[thing]
    said = typed(_asked("colour", chance, language).format(w=thing), language, chance)
    return single("colour", language, said, answer, f"{thing}: {found}.")


def three(chance: random.Random, language: str) -> Conversation:
    kinds = lexicon.of(language)["lists"]
    kind = chance.choice(list(kinds))
    said = typed(_asked("three", chance, language).format(w=kind), language, chance)
    return single("list", language, said, kinds[kind], f"{kind}.")


def _asked(ask: str, chance: random.Random, language: str) -> str:
    return str(chance.choice(lexicon.of(language)["ask"][ask]))
