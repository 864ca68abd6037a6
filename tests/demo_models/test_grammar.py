"""What the demo models are taught, and what is kept from them."""

import random

import pytest

from demo_models.grammar import CLIPS, HELD_OUT, LANGUAGES, PHRASES, TRAINED, UNSEEN_PHRASES, WORDS, prompt


def test_no_clip_is_invisible() -> None:
    assert len(CLIPS) == len(set(CLIPS)) == 112
    assert all(clip.colour != clip.background for clip in CLIPS)


def test_each_part_of_a_held_out_combination_is_trained_in_others() -> None:
    assert len(HELD_OUT) == 14
    assert not set(HELD_OUT) & set(TRAINED)
    for clip in HELD_OUT:
        assert any((one.colour, one.background) == (clip.colour, clip.background) for one in TRAINED)
        assert any((one.shape, one.direction) == (clip.shape, clip.direction) for one in TRAINED)
    assert {(clip.shape, clip.direction) for clip in HELD_OUT} == {(clip.shape, clip.direction) for clip in CLIPS}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_prompt_names_all_four_facts(language: str) -> None:
    chance = random.Random(1)
    for clip in CLIPS * 3:
        for unseen in (False, True):
            text = prompt(clip, language, chance, unseen=unseen).lower()
            for fact in clip.facts:
                assert any(word in text for word in WORDS[language][fact]), (fact, text)


def test_no_wording_stands_for_two_meanings() -> None:
    said = [(word, meaning) for words in WORDS.values() for meaning, all_ in words.items() for word in all_]
    assert len({word for word, _ in said}) == len(said)


def test_the_unseen_phrases_are_not_among_the_others() -> None:
    assert not {p for all_ in PHRASES.values() for p in all_} & {p for all_ in UNSEEN_PHRASES.values() for p in all_}
