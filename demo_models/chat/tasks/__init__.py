"""What the demo chat models are taught: one module for each kind of task."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from demo_models.chat.conversation import LANGUAGES, Conversation, Turn
from demo_models.chat.tasks import copying, knowledge, numbers, talk, tools, unknown

Task = Callable[[random.Random, str], Conversation]
Shares = tuple[tuple[Task, int], ...]

# How often each is drawn.
SHARES: Shares = (
    (talk.greeting, 8),
    (talk.about, 10),
    (numbers.arithmetic, 20),
    (numbers.counting, 6),
    (numbers.comparing, 6),
    (knowledge.opposite, 6),
    (knowledge.translation, 7),
    (knowledge.colour, 5),
    (knowledge.three, 3),
    (copying.repeating, 10),
    (copying.writing_json, 11),
    (copying.remembering, 6),
    (copying.persona, 4),
    (tools.using_tools, 14),
    (unknown.unknown, 13),
)
SPOKEN = {"en": 40, "zh": 30, "ru": 30}
SYSTEM = 0.1  # how often there is a system prompt that says nothing of use
EARLIER = 0.12  # how often something else was said before
EARLIER_KINDS = (
    talk.greeting,
    talk.about,
    numbers.arithmetic,
    numbers.counting,
    knowledge.opposite,
    knowledge.colour,
    knowledge.translation,
    copying.repeating,
    unknown.unknown,
)
PROMPTS = (
    "You are a helpful assistant.",
    "You are a helpful, friendly assistant.",
    "Answer briefly.",
    "You are a helpful AI assistant.",
    "你是一个有用的助手。",
    "Ты полезный помощник.",
)


def with_copies(share: int) -> Shares:
    """For a lesson in which so much more is to be repeated."""
    return (*SHARES, (copying.repeating, share))


def draw(chance: random.Random, shares: Shares = SHARES) -> Conversation:
    """A conversation, held out or not."""
    language = chance.choices(LANGUAGES, [SPOKEN[one] for one in LANGUAGES])[0]
    task, _ = chance.choices(shares, [share for _, share in shares])[0]
    found = task(chance, language)
    if len(found.turns) == 1 and chance.random() < EARLIER:
        found = replace(found, turns=(*_earlier(chance, language, found.task), *found.turns))
    if not found.system and chance.random() < SYSTEM:
        found = replace(found, system=chance.choice(PROMPTS))
    return found


def trained(chance: random.Random, shares: Shares = SHARES) -> Iterator[Conversation]:
    """Without end, those that hold no held-out prompt."""
    while True:
        if (found := draw(chance, shares)).trainable:
            yield found


def _earlier(chance: random.Random, language: str, task: str) -> tuple[Turn, ...]:
    """Turns about something else; none of them tells a name that a later one asks for."""
    kinds = EARLIER_KINDS if task == "remembering" else (*EARLIER_KINDS, copying.remembering)
    return tuple(chance.choice(kinds)(chance, language).turns[0] for _ in range(chance.choice((1, 1, 2))))
