"""How one call is answered on the wire, in whichever format it was asked."""

from collections.abc import Sequence
from typing import Any, Protocol

from fmlx_site.errors import FmlxError
from inference.client import Event

Json = dict[str, Any]


class Wire(Protocol):
    """`id` is the answer's. `first` below is the index of a prompt's first choice."""

    id: str
    keep_alive: bytes

    def choice(self, number: int, choice: Event, first: int) -> Json:
        """One finished choice; `number` is of its prompt."""

    def whole(self, facts: Event, choices: Sequence[Json], finished: Sequence[Event]) -> bytes:
        """The answer to a call that is not a stream."""

    def begin(self, facts: Event, prompt_tokens: int) -> None:
        """The engine accepted the call; a stream will follow."""

    def chunks(self, number: int, first: int, events: Sequence[Event]) -> bytes:
        """What the deltas among the events are on the wire."""

    def end(self, finished: Sequence[Event]) -> bytes: ...

    def error(self, failure: FmlxError) -> bytes:
        """The end of a stream that fails after it began."""
