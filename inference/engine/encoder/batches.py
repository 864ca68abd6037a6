"""Which rows are computed together. No MLX here."""

from collections.abc import Iterable
from dataclasses import dataclass

from inference.engine.encoder.bounds import Bounds
from inference.engine.encoder.requests import Request

MOST_TOKENS = 8192  # of one batch, padding included: an abort, or another's turn, waits for no more than this
MOST_ROWS = 64
PADDED_SHARE = 0.25  # of a row's place in a batch that may be padding


@dataclass(slots=True)
class Batch:
    """(request, number of its row), the longest first."""

    rows: list[tuple[Request, int]]

    @property
    def requests(self) -> list[Request]:
        return list(dict.fromkeys(request for request, _ in self.rows))

    @property
    def length(self) -> int:
        request, number = self.rows[0]
        return len(request.rows[number])


def assemble(requests: Iterable[Request], bounds: Bounds, room: int) -> Batch:
    """The first request's longest rows, then rows of the others that are nearly as long: at least one row."""
    first, *others = requests
    length = len(first.rows[first.left[-1]])
    most = max(1, min(MOST_ROWS, MOST_TOKENS // length, bounds.rows(length, room)))
    rows = [(first, number) for number in _nearly(first, length)[:most]]
    for other in others:
        if len(rows) == most:
            break
        if other.scored == first.scored:
            rows += [(other, number) for number in _nearly(other, length)[: most - len(rows)]]
    rows.sort(key=lambda one: -len(one[0].rows[one[1]]))
    return Batch(rows)


def _nearly(request: Request, length: int) -> list[int]:
    """Its rows for a batch of this length, the longest first; `left` is in order of length."""
    least = length * (1 - PADDED_SHARE)
    found: list[int] = []
    for number in reversed(request.left):
        if (own := len(request.rows[number])) < least:
            break
        if own <= length:
            found.append(number)
    return found
