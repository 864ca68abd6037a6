"""Stop texts are found wherever the pieces of the text are cut, and nothing of them is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.engine.stopping import StopMatcher

LETTERS = st.text("ab", min_size=1, max_size=6)


def shown(pieces: list[str], stops: list[str]) -> tuple[str, str | None]:
    matcher = StopMatcher(stops)
    text = "".join(matcher.feed(piece) for piece in pieces)
    return text + ("" if matcher.matched else matcher.flush()), matcher.matched


@pytest.mark.parametrize(
    ("pieces", "stops", "text", "matched"),
    [
        (["Hello", " world"], [], "Hello world", None),
        (["one ST", "OP two"], ["STOP"], "one ", "STOP"),
        (["a", "b", "c"], ["abc"], "", "abc"),
        (["ab", "ad"], ["abc"], "abad", None),
        (["x END", "E"], ["END", "ENDE"], "x ", "END"),
        (["x END"], ["ENDE"], "x END", None),
        (["aab"], ["ab"], "a", "ab"),
    ],
)
def test_what_is_shown(pieces: list[str], stops: list[str], text: str, matched: str | None) -> None:
    assert shown(pieces, stops) == (text, matched)


def test_text_that_may_become_a_stop_is_held_back() -> None:
    matcher = StopMatcher(["\n\nUser:"])
    assert matcher.feed("Yes.\n\nUs") == "Yes."
    assert matcher.feed("ual.") == "\n\nUsual."


@given(st.lists(LETTERS, max_size=8), st.lists(LETTERS, min_size=1, max_size=3))
def test_it_does_not_matter_where_the_text_is_cut(pieces: list[str], stops: list[str]) -> None:
    whole = "".join(pieces)
    at = min((found for stop in stops if (found := whole.find(stop)) >= 0), default=None)
    if at is None:
        assert shown(pieces, stops) == (whole, None)
        return
    ends = [whole.find(stop) + len(stop) for stop in stops if stop in whole]
    text, matched = shown(pieces, stops)
    assert matched in stops
    assert whole.startswith(text + str(matched))
    assert len(text + str(matched)) <= max(ends)
