"""What demo-embed and demo-rerank are taught, what is kept from them, and what they make of it."""

import random
import re
from collections.abc import Callable

import pytest

from demo_models import shipped
from demo_models.grammar import HELD_OUT, LANGUAGES, UNSEEN_PHRASES
from demo_models.texts import thoughts
from tests.inference.engine.conftest import run_in_runtime, runtime_python

__all__ = ["run_in_runtime", "runtime_python"]

LEAST = 95.0  # per cent
CHANCE = random.Random(1)
DRAWN = [thoughts.draw(CHANCE) for _ in range(4000)]
PAIRS = [(one, one.near(CHANCE)) for one in DRAWN]


def test_no_thought_is_a_clip_that_is_held_out() -> None:
    kept = {thoughts.of_clip(clip).facts for clip in HELD_OUT}
    assert not kept & {one.facts for pair in PAIRS for one in pair}


def test_no_thought_is_said_in_a_phrase_that_is_held_out() -> None:
    said = [one.say(CHANCE) for one in DRAWN]
    for language in LANGUAGES:
        for phrase in UNSEEN_PHRASES[language]:
            pattern = re.compile(
                ".+".join(re.escape(part) for part in re.split(r"\{.\}", phrase) if part), re.IGNORECASE
            )
            assert not [text for text in said if pattern.search(text)]


def test_what_is_near_differs_in_one_thing() -> None:
    assert all(len(one.facts - near.facts) == 1 for one, near in PAIRS)
    assert all(one.likeness(one) == 1 > one.likeness(near) for one, near in PAIRS)


@pytest.mark.parametrize("name", ["demo-embed", "demo-rerank"])
def test_a_paraphrase_is_nearer_than_another_meaning(name: str, run_in_runtime: Callable[..., str]) -> None:
    """Of what was trained, and of combinations and phrases that were not."""
    said = run_in_runtime("-m", "demo_models.score_texts", str(shipped.WEIGHTS / name), "--count", "200")
    found = [float(share) for share in re.findall(r"\(([\d.]+)%\)", said)]
    assert len(found) == 3
    assert min(found) >= LEAST, said
