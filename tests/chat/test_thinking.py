"""Thoughts and text are told apart wherever the pieces are cut."""

import pytest

from chat.thinking import Split

CASES = [
    ("<think>\nTwo and two.\n</think>\n\nFour.", "Two and two.", "Four."),
    ("\n<think></think>Four.", "", "Four."),
    ("Four, if a < b.", "", "Four, if a < b."),
    ("Two and two.</think>\n\nFour.", "Two and two.", "Four."),
    ("<think>It never ends", "It never ends", ""),
    ("<thin ice", "", "<thin ice"),
    ("<th", "", "<th"),
    ("<think>a</think>b</thi", "a", "b</thi"),
]


@pytest.mark.parametrize(("said", "thinking", "text"), CASES)
@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_every_cut_gives_the_same(said, thinking, text, size):
    split = Split()
    for start in range(0, len(said), size):
        split.feed(said[start : start + size])
    split.end()
    assert (split.thinking, split.text) == (thinking, text)


def test_what_was_shown_as_text_and_was_a_thought_is_told():
    split = Split()
    split.feed("Two and two.")
    assert (split.text, split.moved) == ("Two and two.", 0)
    split.feed("</think>Four.")
    assert (split.thinking, split.text, split.moved) == ("Two and two.", "Four.", 1)
