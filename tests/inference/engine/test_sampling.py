"""What a client may ask of the sampler, seen in the answers of a running engine."""

import math
from collections import Counter

import pytest

from tests.inference.engine.conftest import Engine

pytestmark = pytest.mark.runtime
PROMPT = list(range(400, 440))
SAMPLED = {"prompt": PROMPT, "temperature": 1, "max_tokens": 30, "logprobs": True}


def test_a_seed_gives_the_same_answer_alone_and_in_a_crowd(engine: Engine) -> None:
    alone = engine.complete(seed=7, **SAMPLED).ids()
    crowd = [engine.ask(seed=seed, **SAMPLED) for seed in (3, 7, None, 9)]
    answers = [engine.answer(id_).ids() for id_ in crowd]
    assert answers[1] == alone
    assert len({tuple(answer) for answer in answers}) == 4


def test_without_a_seed_two_answers_differ(engine: Engine) -> None:
    assert engine.complete(**SAMPLED).ids() != engine.complete(**SAMPLED).ids()


def test_choices_of_one_seeded_request_differ_and_come_again(engine: Engine) -> None:
    first, again = engine.complete(seed=1, n=4, **SAMPLED), engine.complete(seed=1, n=4, **SAMPLED)
    choices = [tuple(first.ids(index)) for index in range(4)]
    assert len(set(choices)) == 4
    assert choices == [tuple(again.ids(index)) for index in range(4)]
    assert first.end["usage"]["completion_tokens"] == 120
    assert first.end["usage"]["prompt_tokens"] == len(PROMPT)


@pytest.mark.parametrize("narrow", [{"top_k": 1}, {"top_p": 0}, {"min_p": 1}, {"temperature": 0}])
def test_the_narrowest_sampling_is_greedy(engine: Engine, narrow: dict[str, float]) -> None:
    greedy = engine.complete(**{**SAMPLED, "temperature": 0}).ids()
    assert engine.complete(**{**SAMPLED, **narrow}).ids() == greedy


def test_top_k_and_top_p_keep_to_the_best(engine: Engine) -> None:
    for narrow in ({"top_k": 5}, {"top_p": 0.05}):
        answer = engine.complete(**{**SAMPLED, **narrow, "top_logprobs": 20})
        ranks = [[top["id"] for top in one["top"]].index(one["id"]) for one in answer.logprobs()]
        assert max(ranks) < 20 if "top_p" in narrow else max(ranks) < 5
        assert len(set(ranks)) > 1


def test_a_biased_token_is_all_there_is_and_a_banned_one_never_comes(engine: Engine) -> None:
    forced = engine.complete(**SAMPLED, logit_bias={"321": 100})
    assert set(forced.ids()) == {321}
    first = engine.complete(**{**SAMPLED, "temperature": 0}).ids()[0]
    assert first not in engine.complete(**{**SAMPLED, "temperature": 0}, logit_bias={str(first): -100}).ids()


@pytest.mark.parametrize("penalty", [{"frequency_penalty": 2}, {"presence_penalty": 2}, {"repetition_penalty": 5}])
def test_penalties_make_it_repeat_itself_less(engine: Engine, penalty: dict[str, float]) -> None:
    plain = {**SAMPLED, "temperature": 0, "max_tokens": 40}
    most = Counter(engine.complete(**plain).ids()).most_common(1)[0][1]
    assert Counter(engine.complete(**plain, **penalty).ids()).most_common(1)[0][1] < most


def test_logprobs_are_those_of_every_token_with_the_best_ones_beside(engine: Engine) -> None:
    answer = engine.complete(**{**SAMPLED, "temperature": 0, "top_logprobs": 3, "stream": False})
    assert len(answer.logprobs()) == 30
    for one in answer.logprobs():
        assert one.keys() == {"token", "id", "logprob", "bytes", "top"}
        assert [top["logprob"] for top in one["top"]] == sorted((top["logprob"] for top in one["top"]), reverse=True)
        assert one["id"] == one["top"][0]["id"]
        assert math.isclose(one["logprob"], one["top"][0]["logprob"])
        assert one["logprob"] < 0


def test_a_stop_text_is_found_across_tokens_and_not_shown(engine: Engine) -> None:
    plain = engine.complete(prompt=PROMPT, seed=4, temperature=1, max_tokens=60, stream=False, logprobs=True)
    pieces = [one["token"] for one in plain.logprobs()]
    at = next(at for at in range(8, 50) if all(piece.isascii() and len(piece) > 2 for piece in pieces[at : at + 2]))
    stop = pieces[at][-2:] + pieces[at + 1][:2]
    for stream in (True, False):
        asked = {"prompt": PROMPT, "seed": 4, "temperature": 1, "max_tokens": 60}
        answer = engine.complete(**asked, stop=["never said", stop], stream=stream)
        assert answer.text() == plain.text()[: plain.text().index(stop)]
        assert answer.end["choices"][0]["reason"] == "stop"
        assert answer.end["choices"][0]["stop"] == stop
        assert answer.end["usage"]["completion_tokens"] <= at + 2


def test_an_end_token_ends_it_unless_it_is_to_be_ignored(engine: Engine) -> None:
    ended = engine.complete(prompt=PROMPT, max_tokens=5, logit_bias={"2": 100}, ignore_eos=False)
    assert ended.end["choices"] == [{"index": 0, "reason": "stop", "tokens": 1, "stop": 2}]
    assert ended.text() == ""
    ignored = engine.complete(prompt=PROMPT, max_tokens=5, logit_bias={"2": 100}, ignore_eos=True)
    assert ignored.end["choices"] == [{"index": 0, "reason": "length", "tokens": 5}]
