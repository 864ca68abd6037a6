"""A demo model's clip shows what its prompt says: asked for over HTTP, read from the video that comes back.

These are the tests that see whether the path from prompt to pixels is whole. docs/testing.md says which faults were
put in, and which of these saw them.
"""

import random

import pytest

from demo_models.grammar import CLIPS, HELD_OUT, LANGUAGES, Clip, prompt, typed
from tests.demo_models.conftest import Answer, Ask, Film

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(600)]

FACTS = ("colour", "direction", "background")
NOTHING = "…"  # the API refuses an empty prompt; the demo models know no punctuation


def asks(clips: tuple[Clip, ...], count: int, *, unseen: bool = False) -> list[Ask]:
    """Prompts over all languages in turn, typed as people type; the same ones every time."""
    chance = random.Random(9)
    chosen = chance.sample(clips, count)
    texts = [typed(prompt(clip, LANGUAGES[n % 3], chance, unseen=unseen), chance) for n, clip in enumerate(chosen)]
    return [Ask(clip, text, seed=100 + n) for n, (clip, text) in enumerate(zip(chosen, texts, strict=True))]


def right(answers: list[Answer], fact: str) -> int:
    return sum(answer.is_right(fact) for answer in answers)


def wrong(answers: list[Answer]) -> list[tuple[str, dict[str, str | None]]]:
    return [(answer.ask.prompt, answer.seen) for answer in answers if not all(map(answer.is_right, FACTS))]


def test_a_clip_shows_what_its_prompt_says_in_three_languages(model: str, film: Film) -> None:
    answers = film(model, asks(CLIPS, 24))
    assert min(right(answers, fact) for fact in FACTS) >= 23, wrong(answers)
    assert right(answers, "shape") >= 20, [(answer.ask.prompt, answer.seen["shape"]) for answer in answers]


def test_combinations_that_were_never_trained_are_followed_too(model: str, film: Film) -> None:
    answers = film(model, asks(HELD_OUT, 6, unseen=True))
    assert min(right(answers, fact) for fact in FACTS) >= 5, wrong(answers)


def test_a_prompt_that_says_nothing_is_right_only_by_chance(model: str, film: Film) -> None:
    answers = film(model, [Ask(ask.clip, NOTHING, ask.seed) for ask in asks(CLIPS, 6)])
    whole = sum(all(map(answer.is_right, FACTS)) for answer in answers)
    assert whole <= 1, wrong(answers)  # by chance each has one in 60: 5 colours, 4 directions, 3 backgrounds
