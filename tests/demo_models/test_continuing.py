"""A clip continues the picture that is sent with its prompt: asked for over HTTP, read from the video that returns."""

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from demo_models.grammar import HELD_OUT, LANGUAGES, TRAINED, prompt, typed
from tests.demo_models.conftest import CONTINUES, Answer, Ask, Film

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(600)]

FACTS = ("colour", "direction", "background")
NEAR = 2.0  # pixels
# The first frame of the grammar's clips, each with its own seed.
DRAW = """
import json, sys
from pathlib import Path
from PIL import Image
from demo_models.grammar import Clip
from demo_models.scene import picture_of
for number, (facts, seed) in enumerate(json.loads(sys.argv[2])):
    Image.fromarray(picture_of(Clip(*facts), seed)).save(Path(sys.argv[1]) / f"{number}.png")
"""
# Of each video's first frame: how far its shape is from its picture's, and which of all pictures it is nearest to.
COMPARE = """
import json, sys
import numpy as np
from PIL import Image
from demo_models import scorer
from demo_models.look import frames_of
count = (len(sys.argv) - 1) // 2
pictures = [np.asarray(Image.open(name).convert("RGB")) for name in sys.argv[1 + count :]]
for name, picture in zip(sys.argv[1 : 1 + count], pictures):
    first = frames_of(name)[0]
    away = [float(np.abs(first.astype(float) - one).mean()) for one in pictures]
    print(json.dumps([scorer.apart(picture, first), int(np.argmin(away))]))
"""


@pytest.fixture(scope="module")
def answers(film: Film, run_in_runtime: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> list[Answer]:
    """Of twelve pictures, a third of them of combinations that were never trained, in three languages."""
    folder, chance = tmp_path_factory.mktemp("first"), random.Random(11)
    asks = [
        Ask(clip, typed(prompt(clip, LANGUAGES[number % 3], chance), chance), seed=200 + number)
        for number, clip in enumerate([*chance.sample(TRAINED, 8), *chance.sample(HELD_OUT, 4)])
    ]
    run_in_runtime("-c", DRAW, folder, json.dumps([(ask.clip.facts, ask.seed) for ask in asks]))
    return film(CONTINUES, [replace(ask, picture=folder / f"{number}.png") for number, ask in enumerate(asks)])


def test_a_clip_shows_what_its_picture_and_its_prompt_say(answers: list[Answer]) -> None:
    for fact in FACTS:
        wrong = [(answer.ask.prompt, answer.seen) for answer in answers if not answer.is_right(fact)]
        assert len(wrong) <= 1, (fact, wrong)


def test_a_clip_begins_where_its_picture_has_the_shape(
    answers: list[Answer], run_in_runtime: Callable[..., str]
) -> None:
    files, pictures = [answer.file for answer in answers], [answer.ask.picture for answer in answers]
    found = [json.loads(line) for line in run_in_runtime("-c", COMPARE, *files, *pictures).splitlines()]
    assert [nearest for _, nearest in found] == list(range(len(answers)))
    far = [(answer.ask.prompt, away) for answer, (away, _) in zip(answers, found, strict=True) if away > NEAR]
    assert len(far) <= 1, far
