"""What the demo chat models are taught, and what is kept from them."""

import itertools
import json
import random
from collections import Counter

import pytest

from demo_models.chat import lexicon, tasks, trials
from demo_models.chat.conversation import LANGUAGES, Conversation
from tests.early import ROOT

DRAWN = [tasks.draw(chance) for chance in [random.Random(1)] for _ in range(8000)]


def asked(one: Conversation) -> str:
    """All that the model is shown."""
    return json.dumps([one.messages(), one.tools], ensure_ascii=False)


def test_every_task_is_taught_in_every_language() -> None:
    drawn = Counter((one.task, one.language) for one in DRAWN)
    assert set(drawn) == set(itertools.product({one.task for one in DRAWN}, LANGUAGES))
    assert min(drawn.values()) >= 10


def test_no_prompt_has_two_right_answers() -> None:
    answers: dict[str, str] = {}
    for one in DRAWN:
        assert answers.setdefault(asked(one), one.answer) == one.answer, asked(one)


def test_no_held_out_prompt_is_in_any_conversation_of_the_training() -> None:
    drawn = itertools.islice(tasks.trained(random.Random(2)), 8000)
    trained = {text for one in drawn for text in (one.system, *(turn.said for turn in one.turns))}
    assert not [one for one in trials.held_out(5) if {one.system, one.turns[-1].said} <= trained]
    assert not {one.turns[-1].said for one in trials.strange()} & trained


def test_the_three_languages_have_the_same_parts() -> None:
    found = {language: lexicon.of(language) for language in LANGUAGES}
    parts = [{(kind, key) for kind in ("ask", "answer", "thought") for key in words[kind]} for words in found.values()]
    assert all(part == parts[0] for part in parts)
    assert len({len(words["facts"]) for words in found.values()}) == 1


@pytest.mark.parametrize("fact", ["/v1/videos", "/v1/openapi.json", "~/.fmlx/models"])
def test_the_addresses_in_its_answers_are_those_of_the_documentation(fact: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for language in LANGUAGES:
        assert any(fact in one["answer"] for one in lexicon.of(language)["facts"])
    assert fact in readme
