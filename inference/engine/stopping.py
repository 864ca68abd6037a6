"""Stop texts, matched on the text and not on tokens, so that it does not matter how the model spells them."""

from collections.abc import Sequence


class StopMatcher:
    """Fed the text as it comes; lets through what can no longer become part of a stop text."""

    __slots__ = ("_held", "_stops", "matched")

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.matched: str | None = None

    def feed(self, text: str) -> str:
        """The text that may be shown now. Once a stop text is there (`matched`), nothing more comes."""
        if not self._stops:
            return text
        if self.matched is not None:
            return ""
        text = self._held + text
        if found := self._first(text):
            at, self.matched = found
            self._held = ""
            return text[:at]
        cut = len(text) - self._possible(text)
        self._held = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """What was held back, when no more text will come."""
        held, self._held = self._held, ""
        return held

    def _first(self, text: str) -> tuple[int, str] | None:
        found = [(at, -len(stop), stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if not found:
            return None
        at, _, stop = min(found)
        return at, stop

    def _possible(self, text: str) -> int:
        """How many characters at the end could be the beginning of a stop text."""
        return max(_overlap(text, stop) for stop in self._stops)


def _overlap(text: str, stop: str) -> int:
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
