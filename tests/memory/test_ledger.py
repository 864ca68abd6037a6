"""Whatever happens at once, no more is promised than there is."""

import contextlib
import random
import threading
from collections.abc import Callable

import pytest
from django.db import connection
from django.db.models import Sum
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from memory.ceiling import Ceiling
from memory.errors import LeaseClosed, NeverFits, NoRoom, RoomPinned
from memory.ledger import Ledger
from memory.models import Lease, Node

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]


def ledger(static: int, dynamic: int | None = None, name: str = "node") -> Ledger:
    made = Ledger(Node.objects.create(name=name, boot_id="boot", pid=1).pk)
    made.set_ceiling(Ceiling(static=static, dynamic=dynamic))
    return made


def test_room_is_what_is_not_promised() -> None:
    books = ledger(100, 80)
    lease = books.reserve("generator", "job-1", 30)
    room = books.room()
    assert (room.ceiling, room.leased, room.free, room.largest) == (80, 30, 50, 100)
    books.release(lease)
    books.release(lease)
    assert books.room().free == 80


def test_a_lease_goes_from_reserved_to_bound_to_gone_and_nowhere_else() -> None:
    books = ledger(100)
    lease = books.reserve("generator", "job-1", 30)
    bound = books.bind(lease, 4711, 12.5)
    assert (bound.state, bound.pid, bound.pid_started, bound.bytes) == (Lease.State.BOUND, 4711, 12.5, 30)
    with pytest.raises(LeaseClosed, match="is bound, and what is bound cannot bind"):
        books.bind(lease, 4712, 13.0)
    assert books.resize(lease, 40).state == Lease.State.BOUND
    books.release(lease)
    with pytest.raises(LeaseClosed, match="is released, and what is released cannot resize"):
        books.resize(lease, 10)
    with pytest.raises(LeaseClosed, match="is released, and what is released cannot bind"):
        books.bind(lease, 4711, 12.5)
    assert not Lease.objects.exists()


def test_one_who_waits_is_overtaken_so_often_and_not_once_more() -> None:
    books = ledger(100)
    first = books.reserve("engine", "chat", 30)

    def asks() -> None:
        with pytest.raises(NoRoom):
            books.reserve("generator", "video", 80, overtakes=2)

    asks()
    for other in ("a", "b"):
        books.release(books.reserve("engine", other, 20))
        asks()
    with pytest.raises(NoRoom, match="kept for generator video, which was overtaken 2 times") as kept:
        books.reserve("engine", "c", 20)
    assert (kept.value.leased, kept.value.missing) == (100, 20)
    with pytest.raises(NoRoom):
        books.resize(first, 40)
    books.release(first)
    books.release(books.reserve("engine", "d", 20))  # beside it there is room
    assert books.reserve("generator", "video", 80, overtakes=2)


def test_one_who_waited_and_left_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    books = ledger(100)
    books.reserve("engine", "chat", 30)
    with pytest.raises(NoRoom):
        books.reserve("generator", "video", 80, overtakes=0)
    with pytest.raises(NoRoom):
        books.reserve("engine", "other", 20)
    monkeypatch.setattr("memory.line.STALE_SECONDS", 0.0)
    assert books.reserve("engine", "other", 20)


def test_what_is_pinned_stays_and_waiting_for_it_has_no_end() -> None:
    books = ledger(100, 80)
    lease = books.reserve("engine", "chat", 30, pinned=True)
    with pytest.raises(NoRoom) as later:
        books.reserve("generator", "video", 70)
    assert later.value.status == 503
    with pytest.raises(RoomPinned) as never:
        books.reserve("generator", "video", 71)
    assert (never.value.status, never.value.leased, never.value.ceiling) == (507, 30, 100)
    books.pin(lease, pinned=False)
    with pytest.raises(NoRoom) as again:
        books.reserve("generator", "video", 71)
    assert again.value.status == 503


def test_what_never_fits_is_told_from_what_does_not_fit_now() -> None:
    books = ledger(100, 80)
    with pytest.raises(NeverFits) as never:
        books.reserve("generator", "job-1", 101)
    assert (never.value.wanted, never.value.ceiling) == (101, 100)
    with pytest.raises(NoRoom) as now:
        books.reserve("generator", "job-1", 81)
    assert (now.value.wanted, now.value.leased, now.value.ceiling) == (81, 0, 80)


def test_a_lease_shrinks_always_and_grows_only_into_room() -> None:
    books = ledger(100)
    lease, _ = books.reserve("engine", "a", 50), books.reserve("engine", "b", 40)
    with pytest.raises(NoRoom) as now:
        books.resize(lease, 61)
    assert now.value.leased == 40
    assert books.resize(lease, 60).bytes == 60
    books.set_ceiling(Ceiling(static=100, dynamic=10))
    assert books.resize(lease, 20).bytes == 20


def test_a_ceiling_that_falls_takes_nothing_back_and_promises_nothing_more() -> None:
    books = ledger(100)
    books.reserve("engine", "a", 50)
    books.set_ceiling(Ceiling(static=100, dynamic=10))
    room = books.room()
    assert (room.ceiling, room.free) == (50, 0)
    assert Node.objects.get().ceiling_terms["bytes"] == 10
    with pytest.raises(NoRoom):
        books.reserve("engine", "b", 1)


def test_room_that_comes_free_above_a_fallen_ceiling_is_not_promised_again() -> None:
    books = ledger(100)
    first, second = books.reserve("engine", "a", 50), books.reserve("engine", "b", 40)
    books.set_ceiling(Ceiling(static=100, dynamic=10))
    books.release(first)
    assert (books.room().ceiling, books.room().free) == (40, 0)
    books.resize(second, 5)
    assert (books.room().ceiling, books.room().free) == (10, 5)
    with pytest.raises(NoRoom):
        books.reserve("engine", "c", 6)


@pytest.mark.parametrize("size", [0, -5])
def test_a_lease_of_nothing_is_a_mistake(size: int) -> None:
    with pytest.raises(ValueError, match="above zero"):
        ledger(100).reserve("engine", "a", size)


def test_another_nodes_leases_are_not_counted_nor_touched() -> None:
    here, there = ledger(100), ledger(100, name="there")
    lease = there.reserve("engine", "a", 90)
    here.reserve("engine", "a", 90)
    here.release(lease)
    assert there.room().leased == 90


def in_threads(work: Callable[[int], None], count: int) -> list[Exception]:
    """Run `work` in threads that start together; what they raised."""
    gate, raised = threading.Barrier(count), []

    def run(number: int) -> None:
        try:
            gate.wait()
            work(number)
        except Exception as error:  # noqa: BLE001 - carried over to the test
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_of_many_that_ask_at_once_only_as_many_as_fit_are_served() -> None:
    books, won = ledger(100), []

    def ask(number: int) -> None:
        with contextlib.suppress(NoRoom):
            won.append(books.reserve("engine", str(number), 30))

    assert in_threads(ask, 8) == []
    assert len(won) == 3
    assert books.room().leased == 90


def test_the_sum_never_passes_the_ceiling_while_everything_changes_at_once() -> None:
    books, seen = ledger(1000), []

    def change(number: int) -> None:
        dice = random.Random(number)
        mine: list[Lease] = []
        for _ in range(25):
            with contextlib.suppress(NoRoom, NeverFits):
                _one_change(books, mine, dice)
            room = books.room()
            seen.append((room.leased, room.ceiling))

    assert in_threads(change, 6) == []
    assert len(seen) == 150
    assert max(leased for leased, _ in seen) > 500  # there was something to fight for
    assert all(leased <= ceiling for leased, ceiling in seen)


def _one_change(books: Ledger, mine: list[Lease], dice: random.Random) -> None:
    what = dice.random()
    if what < 0.5 or not mine:
        mine.append(books.reserve("engine", "x", dice.randint(100, 500)))
    elif what < 0.7:
        books.resize(dice.choice(mine), dice.randint(100, 500))
    elif what < 0.8:
        books.set_ceiling(Ceiling(static=1000, dynamic=dice.randint(300, 1000)))
    else:
        books.release(mine.pop())


class LedgerMachine(RuleBasedStateMachine):
    """Any order of steps, against a plain account of what was promised."""

    leases = Bundle("leases")
    sizes = st.integers(min_value=1, max_value=150)

    def __init__(self) -> None:
        super().__init__()
        Node.objects.all().delete()
        self.books = ledger(100)
        self.promised: dict[int, int] = {}
        self.bound: set[int] = set()
        self.ceiling = Ceiling(static=100)

    def _fits(self, size: int, before: int) -> bool:
        limit = max(self.ceiling.bytes, sum(self.promised.values()))
        return size <= before or (size <= 100 and sum(self.promised.values()) - before + size <= limit)

    @rule(target=leases, size=sizes)
    def reserve(self, size: int) -> Lease:
        try:
            lease = self.books.reserve("engine", "x", size)
        except (NoRoom, NeverFits):
            assert not self._fits(size, 0)
            return Lease(pk=-1)
        assert self._fits(size, 0)
        self.promised[lease.pk] = size
        return lease

    @rule(lease=leases)
    def bind(self, lease: Lease) -> None:
        try:
            self.books.bind(lease, 4711, 1.0)
        except LeaseClosed:
            assert lease.pk not in self.promised or lease.pk in self.bound
            return
        assert lease.pk in self.promised
        assert lease.pk not in self.bound
        self.bound.add(lease.pk)

    @rule(lease=leases, size=sizes)
    def resize(self, lease: Lease, size: int) -> None:
        before = self.promised.get(lease.pk, 0)
        try:
            self.books.resize(lease, size)
        except LeaseClosed:
            assert not before
            return
        except (NoRoom, NeverFits):
            assert not self._fits(size, before)
            return
        assert self._fits(size, before)
        self.promised[lease.pk] = size

    @rule(lease=consumes(leases))
    def release(self, lease: Lease) -> None:
        self.books.release(lease)
        self.promised.pop(lease.pk, None)

    @rule(dynamic=st.integers(min_value=0, max_value=120))
    def machine_changes(self, dynamic: int) -> None:
        self.ceiling = Ceiling(static=100, dynamic=dynamic)
        self.books.set_ceiling(self.ceiling)

    @invariant()
    def the_sum_is_under_the_ceiling(self) -> None:
        room = self.books.room()
        assert room.leased <= room.ceiling
        assert room.leased == sum(self.promised.values())
        assert room.leased == (Lease.objects.aggregate(total=Sum("bytes"))["total"] or 0)


def test_any_order_of_steps_keeps_the_account() -> None:
    checks = [HealthCheck.too_slow]
    few = settings(
        max_examples=30,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=checks,
        database=None,
        phases=(Phase.generate,),
    )
    run_state_machine_as_test(LedgerMachine, settings=few)
