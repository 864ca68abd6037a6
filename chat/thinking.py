"""What a model thinks and what it says, told apart while the text comes in pieces."""

from dataclasses import dataclass

OPEN, CLOSE = "<think>", "</think>"


@dataclass(slots=True)
class Split:
    """`moved` counts how often what had been shown as text turned out to be a thought.

    Some templates open the thought themselves, so that the text begins inside of it and has its end only.
    """

    thinking: str = ""
    text: str = ""
    moved: int = 0
    _held: str = ""
    _inside: bool = False
    _begun: bool = False

    def feed(self, piece: str) -> None:
        self._held += piece
        if not self._begun:
            self._begin()
        if not self._begun:
            return
        if self._inside:
            self._think()
        if not self._inside:
            self._say()

    def end(self) -> None:
        """Nothing more comes: what looked like the beginning of a mark is text."""
        if self._inside:
            self.thinking += self._held
        else:
            self.text += self._held
        self._held = ""

    def _begin(self) -> None:
        start = self._held.lstrip()
        if start.startswith(OPEN):
            self._begun = self._inside = True
            self._held = start.removeprefix(OPEN).lstrip("\n")
        elif not OPEN.startswith(start):
            self._begun = True
            self._held = start

    def _think(self) -> None:
        thought, mark, rest = self._held.partition(CLOSE)
        if mark:
            self.thinking = (self.thinking + thought).strip()
            self._inside, self._held = False, rest
        else:
            keep = _overlap(self._held)
            self.thinking += self._held[: len(self._held) - keep]
            self._held = self._held[len(self._held) - keep :]

    def _say(self) -> None:
        before, mark, rest = self._held.partition(CLOSE)
        if mark and not self.thinking:
            self.thinking, self.text, self._held = (self.text + before).strip(), "", rest
            self.moved += 1
        keep = 0 if self.thinking else _overlap(self._held)
        said = self._held[: len(self._held) - keep]
        self.text += said if self.text else said.lstrip("\n")
        self._held = self._held[len(self._held) - keep :]


def _overlap(text: str) -> int:
    """How many characters at the end may be the beginning of the closing mark."""
    return next((size for size in range(min(len(CLOSE) - 1, len(text)), 0, -1) if CLOSE.startswith(text[-size:])), 0)
