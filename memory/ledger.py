"""The single place where memory is promised. Every change goes through `Ledger._change`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from memory.ceiling import Ceiling
from memory.errors import LeaseClosed, NeverFits, NoRoom
from memory.models import Lease, Node
from memory.timeline import Refusals, What, record

Step = Literal["bind", "resize", "release"]
# The states that each step starts from. A lease that was released has no row, and may be released again.
FROM: Mapping[Step, frozenset[str]] = {
    "bind": frozenset({Lease.State.RESERVED}),
    "resize": frozenset({Lease.State.RESERVED, Lease.State.BOUND}),
}
EVENT: Mapping[Step | None, What] = {None: What.RESERVED, "bind": What.BOUND, "resize": What.RESIZED}


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes. `largest` is the most that one lease could ever be on this machine."""

    ceiling: int
    leased: int
    largest: int

    @property
    def free(self) -> int:
        return max(0, self.ceiling - self.leased)


class Ledger:
    """The leases of one node. Synchronous: use `sync_to_async` from the event loop.

    The sum of leases never passes the ceiling: a change that would is refused, and a ceiling that falls below
    what is promised already is recorded as that sum, so that nothing more is promised until leases end.
    """

    def __init__(self, node_id: int, on_no_room: Callable[[str, NoRoom], None] | None = None) -> None:
        """`on_no_room(kind, refusal)` is called, in the thread that asked, when a worker has to wait for memory."""
        self.node_id = node_id
        self.refusals = Refusals(node_id)
        self._on_no_room = on_no_room

    def reserve(self, kind: str, holder: str, size: int) -> Lease:
        """Promise `size` bytes to a worker that is about to start.

        Raises:
            NeverFits: larger than this machine could ever promise.
            NoRoom: it would fit if other leases ended.
        """
        try:
            lease = self._change(Lease(node_id=self.node_id, kind=kind, holder=holder), None, bytes=size)
        except (NoRoom, NeverFits) as refusal:
            self.refusals.tell(kind, holder, refusal)
            if self._on_no_room and isinstance(refusal, NoRoom):
                self._on_no_room(kind, refusal)
            raise
        self.refusals.over(kind, holder)
        return lease

    def bind(self, lease: Lease, pid: int, pid_started: float) -> Lease:
        """The worker runs. Raises LeaseClosed if the lease is not a reserved one any more."""
        process = {"pid": pid, "pid_started": pid_started, "bound_at": timezone.now()}
        return self._change(lease, "bind", state=Lease.State.BOUND, **process)

    def resize(self, lease: Lease, size: int, holder: str | None = None) -> Lease:
        """Also for a worker that does something else from now on. Raises NeverFits, NoRoom, or LeaseClosed."""
        return self._change(lease, "resize", bytes=size, holder=holder or lease.holder)

    def release(self, lease: Lease) -> None:
        """Take the promise back; the worker's processes are gone. Releasing twice is no mistake."""
        self._change(lease, "release")

    def set_ceiling(self, ceiling: Ceiling) -> int:
        """Returns the bytes that are promised now."""
        with transaction.atomic():
            node = self._locked_node()
            node.largest_bytes = ceiling.largest
            node.ceiling_terms = ceiling.terms()
            return self._settle(node)

    def room(self) -> Room:
        with transaction.atomic():
            node = self._locked_node()
            return Room(ceiling=node.ceiling_bytes, leased=self._leased(), largest=node.largest_bytes)

    def _change(self, lease: Lease, step: Step | None, **fields: Any) -> Lease:
        """Take one step under the node's lock, and leave the sum of leases at or under the ceiling."""
        with transaction.atomic():
            node = self._locked_node()
            if step == "release":
                if self._leases().filter(pk=lease.pk).delete()[0]:
                    self._record(lease, What.RELEASED)
                self._settle(node)
                return lease
            kept = self._row(lease, step) if step else lease
            before = kept.bytes or 0
            for name, value in fields.items():
                setattr(kept, name, value)
            self._check_fits(node, kept.bytes, before)
            kept.save()
            self._record(kept, EVENT[step], before=before)
            self._settle(node)
            return kept

    def _settle(self, node: Node) -> int:
        """Record the ceiling as computed, or the sum of leases while that is more. Returns the sum."""
        leased = self._leased()
        node.ceiling_bytes = max(node.ceiling_terms.get("bytes", 0), leased)
        node.save(update_fields=["ceiling_bytes", "largest_bytes", "ceiling_terms"])
        return leased

    def _record(self, lease: Lease, what: What, **figures: int) -> None:
        fields: dict[str, Any] = {"lease": lease.pk, "bytes": lease.bytes, "figures": figures}
        record(self.node_id, what, kind=lease.kind, holder=lease.holder, **fields)

    def would_fit(self, size: int, before: int = 0) -> Room:
        """The room as it is, if a lease of `size` bytes would be promised now, `before` of them being so already.

        Raises NeverFits or NoRoom if not.
        """
        with transaction.atomic():
            self._check_fits(self._locked_node(), size, before)
            return self.room()

    def _row(self, lease: Lease, step: Step) -> Lease:
        kept = self._leases().filter(pk=lease.pk).first()
        if kept is None or kept.state not in FROM[step]:
            raise LeaseClosed(lease.pk, step, kept.state if kept else "released")
        return kept

    def _check_fits(self, node: Node, wanted: int, before: int) -> None:
        if wanted <= 0:
            raise ValueError(f"A lease has a size in bytes above zero, not {wanted}.")
        if wanted <= before:
            return
        if wanted > node.largest_bytes:
            raise NeverFits(wanted=wanted, ceiling=node.largest_bytes)
        if (others := self._leased() - before) + wanted > node.ceiling_bytes:
            raise NoRoom(wanted=wanted, leased=others, ceiling=node.ceiling_bytes)

    def _locked_node(self) -> Node:
        return Node.objects.select_for_update().get(pk=self.node_id)

    def _leases(self) -> QuerySet[Lease]:
        return Lease.objects.filter(node_id=self.node_id)

    def _leased(self) -> int:
        return self._leases().aggregate(total=Sum("bytes"))["total"] or 0
