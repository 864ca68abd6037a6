"""What the ledger and the launcher refuse, with the figures."""

from fmlx_site.errors import FmlxError
from memory.sentences import say


class NoRoom(FmlxError):
    """The lease would fit if others ended: wait."""

    status, type, code = 503, "server_error", "no_room_for_lease"

    def __init__(self, *, wanted: int, leased: int, ceiling: int) -> None:
        free = max(0, ceiling - leased)
        super().__init__(say("no_room", wanted=wanted, free=free, ceiling=ceiling))
        self.wanted, self.leased, self.ceiling = wanted, leased, ceiling

    @property
    def missing(self) -> int:
        """Bytes that others would have to give back."""
        return self.leased + self.wanted - self.ceiling


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
