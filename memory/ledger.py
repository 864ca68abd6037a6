"""The single place where memory is promised. Every change goes through `Ledger._change`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from django.db import transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from memory.ceiling import Ceiling
from memory.errors import LeaseClosed, NeverFits, NoRoom, RoomPinned
from memory.line import Line
from memory.models import Lease, Node
from memory.sentences import gib, say
from memory.timeline import Refusals, What, record

SHOWN = 5  # of those who hold memory, in one sentence
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

    def __init__(self, node_id: int, on_no_room: Callable[[str, str, NoRoom], None] | None = None) -> None:
        """`on_no_room(kind, holder, refusal)` is called, in the thread that asked, when a worker waits for memory."""
        self.node_id = node_id
        self.refusals = Refusals(node_id)
        self._line = Line()
        self._on_no_room = on_no_room

    def reserve(
        self, kind: str, holder: str, size: int, *, pinned: bool = False, overtakes: int | None = None
    ) -> Lease:
        """Promise `size` bytes to a worker that is about to start; a `pinned` one is not ended for others.

        With `overtakes` it waits, and asks again soon: until it is served, others are served before it so often and
        not once more.

        Raises:
            NeverFits: larger than this machine could ever promise.
            RoomPinned: larger than what is pinned leaves of that.
            NoRoom: it would fit if other leases ended.
        """
        try:
            lease = self.try_reserve(kind, holder, size, pinned=pinned)
        except (NoRoom, NeverFits) as refusal:
            self.refusals.tell(kind, holder, refusal)
            if isinstance(refusal, NoRoom) and not isinstance(refusal, RoomPinned):
                self._wait(kind, holder, refusal, overtakes)
            raise
        return lease

    def try_reserve(self, kind: str, holder: str, size: int, *, pinned: bool = False) -> Lease:
        """As `reserve`, for one who may settle for less: a refusal is told to nobody, and nobody is asked for room."""
        lease = self._change(Lease(node_id=self.node_id, kind=kind, holder=holder, pinned=pinned), None, bytes=size)
        self.refusals.over(kind, holder)
        self._line.served(kind, holder)
        return lease

    def bind(self, lease: Lease, pid: int, pid_started: float) -> Lease:
        """The worker runs. Raises LeaseClosed if the lease is not a reserved one any more."""
        process = {"pid": pid, "pid_started": pid_started, "bound_at": timezone.now()}
        return self._change(lease, "bind", state=Lease.State.BOUND, **process)

    def resize(self, lease: Lease, size: int, holder: str | None = None) -> Lease:
        """Also for a worker that does something else from now on. Raises NeverFits, NoRoom, or LeaseClosed."""
        return self._change(lease, "resize", bytes=size, holder=holder or lease.holder)

    def pin(self, lease: Lease, *, pinned: bool) -> None:
        """Its holder stays from now on, whoever waits; or does not any more."""
        self._leases().filter(pk=lease.pk).update(pinned=pinned)

    def expect_end(self, lease: Lease, at: datetime) -> None:
        """When its holder expects to be done, for those who wait."""
        self._leases().filter(pk=lease.pk).update(ends_at=at)

    def ending(self, missing: int) -> list[Lease]:
        """The leases that give back `missing` bytes together when they end as expected, the first first; none if what
        is expected to end is not enough.
        """
        found: list[Lease] = []
        for lease in self._leases().exclude(ends_at=None).order_by("ends_at"):
            found.append(lease)
            missing -= lease.bytes
            if missing <= 0:
                return found
        return []

    def pinned(self, besides: Lease | None = None) -> int:
        """Bytes of leases that stay, whoever waits."""
        others = self._leases().filter(pinned=True).exclude(pk=(besides.pk if besides else 0) or 0)
        return others.aggregate(total=Sum("bytes"))["total"] or 0

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
            self._check_fits(node, kept, before)
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
            self._check_fits(self._locked_node(), Lease(bytes=size), before)
            return self.room()

    def _row(self, lease: Lease, step: Step) -> Lease:
        kept = self._leases().filter(pk=lease.pk).first()
        if kept is None or kept.state not in FROM[step]:
            raise LeaseClosed(lease.pk, step, kept.state if kept else "released")
        return kept

    def _check_fits(self, node: Node, lease: Lease, before: int) -> None:
        """`lease` as it would be, and the bytes that it had before."""
        wanted = lease.bytes
        if wanted <= 0:
            raise ValueError(f"A lease has a size in bytes above zero, not {wanted}.")
        if wanted <= before:
            return
        if wanted > node.largest_bytes:
            raise NeverFits(wanted=wanted, ceiling=node.largest_bytes)
        if (pinned := self.pinned(besides=lease)) + wanted > node.largest_bytes:
            raise RoomPinned(wanted=wanted, leased=pinned, ceiling=node.largest_bytes)
        self._check_free(node, lease, self._leased() - before)

    def _check_free(self, node: Node, lease: Lease, others: int) -> None:
        first = self._line.before(lease.kind, lease.holder)
        kept = min(first.wanted, max(0, node.ceiling_bytes - others)) if first else 0
        if others + kept + lease.bytes <= node.ceiling_bytes:
            return
        refusal = NoRoom(wanted=lease.bytes, leased=others + kept, ceiling=node.ceiling_bytes)
        raise refusal.with_more(first.sentence if first and kept else "", self._holders(lease))

    def _holders(self, besides: Lease) -> str:
        """Who holds what now, as a sentence; empty if nobody else does."""
        others = self._leases().exclude(pk=besides.pk or 0)
        held = [f"{lease.kind} {lease.holder} ({gib(lease.bytes)})" for lease in others.order_by("id")[:SHOWN]]
        more = others.count() - len(held)
        who = ", ".join([*held, f"+{more}"] if more > 0 else held)
        return say("held_by", who=who) if held else ""

    def _wait(self, kind: str, holder: str, refusal: NoRoom, overtakes: int | None) -> None:
        if overtakes is not None:
            self._line.join(kind, holder, refusal.wanted, overtakes)
        if self._on_no_room:
            self._on_no_room(kind, holder, refusal)

    def _locked_node(self) -> Node:
        return Node.objects.select_for_update().get(pk=self.node_id)

    def _leases(self) -> QuerySet[Lease]:
        return Lease.objects.filter(node_id=self.node_id)

    def _leased(self) -> int:
        return self._leases().aggregate(total=Sum("bytes"))["total"] or 0
