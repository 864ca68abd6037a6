"""Where a conversation can be taken up again: the tokens of a prompt that the next turn's prompt will begin with too.

Templates rewrite the tail: reasoning is left out of earlier turns, the opening of an answer is no part of history. So
the next turn is rendered beforehand, with an answer and a question that nobody would write, and what the two texts
have in common is what will stay. The same is done for another last message, and for another conversation with the same
system prompt.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from inference.engine.cache.plan import LEAST_POINT
from inference.engine.messages import Refusal

NOBODYS = "\x1a"  # a character that no conversation begins a message with, and no template strips
REMEMBERED = 64  # system prompts
Render = Callable[[Mapping[str, Any]], str]
Encode = Callable[[str], list[int]]


class Turns:
    def __init__(self, render: Render, encode: Encode) -> None:
        self._render, self._encode = render, encode
        self._heads: OrderedDict[str, int] = OrderedDict()

    def points(self, message: Mapping[str, Any], text: str, count: int) -> tuple[int, ...]:
        """Token counts, one less than is in common: where texts part, a token may reach over. `count` is of `text`."""
        if count < LEAST_POINT or message.get("cache") is False:
            return ()
        said = message["messages"]
        other = {"role": "user", "content": NOBODYS}
        points = set()
        for later in ([*said, {"role": "assistant", "content": NOBODYS}, other], [*said[:-1], other]):
            if stays := self._common(message, text, later):
                points.add(count - len(self._encode(text[stays:])) - 1)
        if said[0]["role"] == "system" and (head := self._common(message, text, [said[0], other])):
            points.add(self._head(text[:head]) - 1)
        return tuple(sorted(point for point in points if point >= LEAST_POINT))

    def _common(self, message: Mapping[str, Any], text: str, messages: list[Any]) -> int:
        """Characters; 0 when the template does not take such a conversation."""
        asked = {**message, "messages": messages, "add_generation_prompt": False, "continue_final_message": False}
        try:
            return common(text, self._render(asked))
        except Refusal:
            return 0

    def _head(self, text: str) -> int:
        """Tokens of a beginning, which many prompts share."""
        if text not in self._heads:
            self._heads[text] = len(self._encode(text))
            if len(self._heads) > REMEMBERED:
                self._heads.popitem(last=False)
        return self._heads[text]


def common(one: str, other: str) -> int:
    """How many characters both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
