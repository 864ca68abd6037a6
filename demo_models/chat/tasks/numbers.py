"""Numbers: sums and differences, counting, and which of two is greater."""

import random

from demo_models.chat import lexicon
from demo_models.chat.conversation import Conversation, single, typed

LARGEST = 10  # number that is added, subtracted or compared
LARGEST_COUNTED = 20
LONGEST, LONGEST_DOWN = 8, 10  # between two numbers, and down to one


def arithmetic(chance: random.Random, language: str) -> Conversation:
    a, b = chance.randint(0, LARGEST), chance.randint(0, LARGEST)
    sign, result, ask = "+", a + b, "add"
    if chance.random() < 0.5:
        a, b = max(a, b), min(a, b)
        sign, result, ask = "-", a - b, "subtract"
    said = typed(_asked(ask, chance, language, a=a, b=b), language, chance)
    return single("arithmetic", language, said, f"{a} {sign} {b} = {result}", f"{a}, {b}.")


def counting(chance: random.Random, language: str) -> Conversation:
    kind = chance.random()
    if kind < 0.6:
        a = chance.randint(2, LARGEST_COUNTED - 1)
        b = chance.randint(a + 1, min(a + LONGEST, LARGEST_COUNTED))
        ask, numbers = "count_between", range(a, b + 1)
    elif kind < 0.8:
        a, b = 1, chance.randint(2, LARGEST_COUNTED)
        ask, numbers = "count_to", range(1, b + 1)
    else:
        a, b = 1, chance.randint(2, LONGEST_DOWN)
        ask, numbers = "count_down", range(b, 0, -1)
    said = typed(_asked(ask, chance, language, a=a, b=b), language, chance)
    return single("counting", language, said, ", ".join(map(str, numbers)), f"{numbers[0]}, {numbers[-1]}.")


def comparing(chance: random.Random, language: str) -> Conversation:
    """The fact first: yes or no follows from it."""
    a, b = chance.sample(range(LARGEST + 1), 2)
    said = typed(_asked("greater", chance, language, a=a, b=b), language, chance)
    relation = f"{a} {'>' if a > b else '<'} {b}"
    answer = lexicon.of(language)["answer"]["so_yes" if a > b else "so_no"].format(fact=relation)
    return single("comparing", language, said, answer, f"{relation}.")


def _asked(ask: str, chance: random.Random, language: str, **numbers: int) -> str:
    return str(chance.choice(lexicon.of(language)["ask"][ask]).format(**numbers))
