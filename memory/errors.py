"""What the ledger and the launcher refuse, with the figures."""

from typing import Self

from fmlx_site.errors import FmlxError
from memory.sentences import join, say


class NoRoom(FmlxError):
    """The lease would fit if others ended: wait."""

    status, type, code = 503, "server_error", "no_room_for_lease"

    def __init__(
        self, *, wanted: int, leased: int, ceiling: int, message: str = "", retry_after: int | None = None
    ) -> None:
        """`message` in place of the plain sentence, with the same figures."""
        plain = say("no_room", wanted=wanted, free=max(0, ceiling - leased), ceiling=ceiling)
        super().__init__(message or plain, retry_after=retry_after)
        self.wanted, self.leased, self.ceiling = wanted, leased, ceiling

    def with_more(self, *sentences: str) -> Self:
        self.message = join(self.message, *sentences)
        self.args = (self.message,)
        return self

    @property
    def missing(self) -> int:
        """Bytes that others would have to give back."""
        return self.leased + self.wanted - self.ceiling


class RoomPinned(NoRoom):
    """Whoever else ends, what is pinned stays and leaves too little: waiting has no end. `leased` is pinned."""

    status, code = 507, "memory_pinned"

    def __init__(self, *, wanted: int, leased: int, ceiling: int, message: str = "") -> None:
        plain = say("room_pinned", wanted=wanted, pinned=leased, ceiling=ceiling)
        super().__init__(wanted=wanted, leased=leased, ceiling=ceiling, message=message or plain)


class NeverFits(FmlxError):
    """The lease is larger than the machine's static ceiling: refuse."""

    status, type, code = 413, "invalid_request_error", "too_large_for_memory"

    def __init__(self, *, wanted: int, ceiling: int, message: str = "", param: str | None = None) -> None:
        """`message` in place of the plain sentence, with the same figures."""
        super().__init__(message or say("never_fits", wanted=wanted, ceiling=ceiling), param=param)
        self.wanted, self.ceiling = wanted, ceiling


class LeaseClosed(FmlxError):
    """A step that the lease's state does not allow."""

    status, type, code = 409, "server_error", "lease_closed"

    def __init__(self, lease: int | None, step: str, state: str) -> None:
        super().__init__(f"Lease {lease} is {state}, and what is {state} cannot {step}.")


class NodeRunning(FmlxError):
    """The name of the node is in use by a process that runs."""

    code = "node_running"


class LaunchFailed(FmlxError):
    """A worker did not start or did not say hello in time."""

    code = "worker_launch_failed"
