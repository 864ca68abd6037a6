"""What a piece of an answer can be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Thought:
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """The beginning of call `index`; its arguments follow."""

    index: int
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Arguments:
    """A piece of the JSON text of call `index`."""

    index: int
    text: str


Piece = Thought | Said | Called | Arguments
