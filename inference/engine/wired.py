"""How much memory this process may wire on Metal: what is wired is never paged out. A thin edge, not run on hardware by
this project's suite but for the arithmetic.

Each worker wires less than its lease; leases together stay under the ceiling, and the ceiling under Metal's own limit.
So all of them together stay inside it. The node computes nothing on Metal and wires nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

MIB = 1024**2
OUTSIDE_MLX_BYTES = (
    512 * MIB
)  # of the lease, for interpreter and tokenizer: 88 MiB on Linux (November 2026), on Metal more
LEAST_SHARE = 2  # a small lease keeps half of itself for them

SetLimit = Callable[[int], int]  # bytes; returns what the limit was


def wired_bytes(lease: int, recommended: int) -> int:
    """Of a lease, never more than Metal's recommended working set."""
    return max(0, min(max(lease - OUTSIDE_MLX_BYTES, lease // LEAST_SHARE), recommended))


@contextmanager
def wired(lease: int, set_limit: SetLimit, recommended: int) -> Iterator[Callable[[int], None]]:
    """As much as the lease allows while the block runs, then what it was before. Gives what follows a new lease."""
    before = set_limit(wired_bytes(lease, recommended))

    def follow(new_lease: int) -> None:
        set_limit(wired_bytes(new_lease, recommended))

    try:
        yield follow
    finally:
        set_limit(before)


def metal() -> tuple[SetLimit, int]:
    """MLX's limit and Metal's recommended working set; nothing to set where there is no Metal."""
    import mlx.core as mx  # noqa: PLC0415 - the arithmetic is used without MLX

    if not mx.metal.is_available():
        return lambda limit: limit, 0
    return mx.set_wired_limit, int(mx.device_info().get("max_recommended_working_set_size", 0))
