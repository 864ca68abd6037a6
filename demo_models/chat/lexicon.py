"""What the demo chat models know, by language: read from languages/*.toml, which people who speak them can read too."""

import functools
import random
import tomllib
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("languages")
INVENTED = 0.4  # of names and cities: so that they can only be copied
SYLLABLES = {"en": ("bdfgklmnprstvz", "aeiou"), "ru": ("бвгдзклмнпрст", "аеиоу")}
LETTERS = {"en": "abcdefghijklmnopqrstuvwxyz", "ru": "абвгдежзийклмнопрстуфхцчшщыьэюя"}
HAN = (0x4E00, 0x9FA5)  # the unified ideographs of Unicode 1
ODD = {"en": 0.3, "ru": 0.3, "zh": 0.15}  # of invented words: of any letters, or with any sign
SIGNS = "天地人山水火木金土日月云风雨花草树石大小中東西南北上下明红白青安文华国家海江河林春夏秋冬东美平心玉星"
# Words in all three languages; only the last can be a whole prompt with a meaning.
TRANSLATED = (
    "cat/猫/кот dog/狗/собака water/水/вода house/房子/дом book/书/книга sun/太阳/солнце fish/鱼/рыба bird/鸟/птица "
    "bread/面包/хлеб friend/朋友/друг city/城市/город red/红色/красный white/白色/белый milk/牛奶/молоко "
    "apple/苹果/яблоко hello/你好/привет"
)
DICTIONARY = tuple(dict(zip(("en", "zh", "ru"), row.split("/"), strict=True)) for row in TRANSLATED.split())


@functools.cache
def of(language: str) -> dict[str, Any]:
    with (FOLDER / f"{language}.toml").open("rb") as file:
        return tomllib.load(file)


def opposites(language: str) -> list[tuple[str, str]]:
    return [(one, other) for one, _, other in (pair.partition("/") for pair in of(language)["opposites"])]


@functools.cache
def known(language: str) -> frozenset[str]:
    """Every word that means something to the models."""
    found = {word for pair in opposites(language) for word in pair} | {row[language] for row in DICTIONARY}
    return frozenset(found.union(*(of(language)[kind] for kind in ("colours", "lists"))))


def copied(language: str) -> frozenset[str]:
    """Every word that a prompt may ask to have repeated."""
    return known(language).union(*(of(language)[kind] for kind in ("plain", "names", "cities")))


def invented(language: str, chance: random.Random) -> str:
    """A word that nobody knows, so that it can only be copied: of syllables, or of any letters."""
    odd = chance.random() < ODD[language]
    if language == "zh":
        rare = chr(chance.randint(*HAN)) if odd else ""
        return rare + "".join(chance.sample(SIGNS, chance.choice((1, 2) if odd else (2, 2, 3))))
    if odd:
        return "".join(chance.sample(LETTERS[language], chance.randint(3, 6)))
    consonants, vowels = SYLLABLES[language]
    return "".join(chance.choice(consonants) + chance.choice(vowels) for _ in range(chance.choice((2, 2, 3))))


def syllables() -> list[str]:
    """What invented words are made of."""
    pairs = [first + second for letters in SYLLABLES.values() for first in letters[0] for second in letters[1]]
    return [*pairs, *(pair.capitalize() for pair in pairs), *SIGNS]


def name(language: str, chance: random.Random) -> str:
    return _proper("names", language, chance)


def city(language: str, chance: random.Random) -> str:
    return _proper("cities", language, chance)


def _proper(kind: str, language: str, chance: random.Random) -> str:
    if chance.random() < INVENTED:
        return invented(language, chance).capitalize()
    return str(chance.choice(of(language)[kind]))
