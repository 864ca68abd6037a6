"""What the models do not know, and say so: questions of every kind, near misses of what they do know, and nonsense."""

import random

from demo_models.chat import lexicon
from demo_models.chat.conversation import LANGUAGES, Conversation, single, typed
from demo_models.chat.tasks.numbers import LARGEST, LARGEST_COUNTED

NEAR_MISSES, NONSENSE = 0.3, 0.15
FEW_WORDS, MANY_WORDS = (2, 9), (10, 60)
MARKS = "    0123456789.,:;!?-+*/(){}[]<>=#@%&_"
HUGE = 999


def unknown(chance: random.Random, language: str) -> Conversation:
    words, kind = lexicon.of(language), chance.random()
    if kind < NEAR_MISSES:
        said = _near_miss(chance, language)
    elif kind < NEAR_MISSES + NONSENSE:
        said = _nonsense(chance, language)
    else:
        said = _filled(chance.choice(words["ask"]["unknown"]), chance, language)
    return not_known("unknown", typed(said, language, chance), language)


def not_known(task: str, said: str, language: str) -> Conversation:
    words = lexicon.of(language)
    return single(task, language, said, words["answer"]["unknown"], words["thought"]["unknown"])


def _near_miss(chance: random.Random, language: str) -> str:
    """A question in a form that is known, about what is not."""
    word, words = _unknown_word(chance, language), lexicon.of(language)
    phrases = words["ask"][chance.choice(("opposite", "colour", "three", "translate"))]
    phrase = chance.choice(phrases)
    tongue = chance.choice([words["tongues"][other] for other in LANGUAGES if other != language])
    return str(phrase.format(w=word, t=tongue))


def _nonsense(chance: random.Random, language: str) -> str:
    """Words in any order, mostly few; or letters."""
    if language in lexicon.LETTERS and chance.random() < 0.2:
        letters = lexicon.LETTERS[language]
        return "".join(chance.choice(letters + MARKS) for _ in range(chance.randint(1, 30))) + chance.choice(letters)
    pool = [word for frame in lexicon.of(language)["ask"]["unknown"] for word in frame.split() if "{" not in word]
    count = chance.randint(*FEW_WORDS) if chance.random() < 0.9 else chance.randint(*MANY_WORDS)
    said = [chance.choice(pool) if chance.random() < 0.5 else _any_word(chance, language) for _ in range(count)]
    return ("" if language == "zh" else " ").join(said)


def _filled(frame: str, chance: random.Random, language: str) -> str:
    while "{w}" in frame:
        frame = frame.replace("{w}", _any_word(chance, language), 1)
    for place, least in (("{n}", LARGEST + 1), ("{m}", LARGEST_COUNTED + 1)):
        while place in frame:
            frame = frame.replace(place, str(chance.randint(least, chance.choice((2 * LARGEST_COUNTED, HUGE)))), 1)
    return frame


def _any_word(chance: random.Random, language: str) -> str:
    kind = chance.random()
    if kind < 0.15:
        return lexicon.name(language, chance)
    if kind < 0.3:
        return chance.choice(sorted({row[language] for row in lexicon.DICTIONARY[:-1]}))
    return _unknown_word(chance, language)


def _unknown_word(chance: random.Random, language: str) -> str:
    if chance.random() < 0.3:
        return lexicon.invented(language, chance)
    return str(chance.choice([word for word in lexicon.of(language)["plain"] if word not in lexicon.known(language)]))
