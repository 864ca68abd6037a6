"""Who gives way when memory is short: in order, no further than needed, and not for every flap."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from memory.books import Books
from memory.ceiling import GIB
from memory.errors import NoRoom
from memory.machine import Machine
from memory.node import LocalNode
from memory.relief import Relief, Standing
from memory.room import Priority, RoomMakers, Shortage
from memory.sampler import Sample
from tests.helpers import await_for
from tests.memory.support import until

Asked = list[tuple[str, int]]


def giving(asked: Asked, name: str, gives: int) -> Callable[[Shortage], Awaitable[int]]:
    async def make_room(shortage: Shortage) -> int:
        asked.append((name, shortage.bytes))
        return gives

    return make_room


def noting(noted: list[tuple[str, int]]) -> Callable[..., Awaitable[None]]:
    async def note(what: str, **fields: Any) -> None:
        noted.append((what, fields["bytes"]))

    return note


@pytest.fixture
def asked() -> Asked:
    return []


@pytest.fixture
def makers(asked: Asked) -> RoomMakers:
    made = RoomMakers()
    for priority, name, gives in ((3, "job", 50), (1, "cache", 5), (2, "idle", 20)):
        made.register(Priority(priority), giving(asked, name, gives))
    return made


@pytest.mark.parametrize(
    ("missing", "up_to", "told"),
    [
        (4, Priority.STOP, ([("cache", 4)], 5)),
        (10, Priority.STOP, ([("cache", 10), ("idle", 5)], 25)),
        (60, Priority.STOP, ([("cache", 60), ("idle", 55), ("job", 35)], 75)),
        (60, Priority.EVICT, ([("cache", 60), ("idle", 55)], 25)),
    ],
)
async def test_they_are_asked_in_order_for_what_is_still_missing(
    makers: RoomMakers, asked: Asked, missing: int, up_to: Priority, told: tuple[Asked, int]
) -> None:
    coming = await makers.make_room(Shortage(missing), up_to)
    assert (asked, coming) == told


async def test_one_that_breaks_or_left_does_not_keep_the_next_from_being_asked(
    makers: RoomMakers, asked: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(shortage: Shortage) -> int:
        raise ZeroDivisionError("mine")

    makers.register(Priority.SHRINK, broken)
    makers.register(Priority.SHRINK, giving(asked, "left", 1))()
    assert await makers.make_room(Shortage(10), Priority.EVICT) == 25
    assert [name for name, _ in asked] == ["cache", "idle"]
    assert "room_maker_failed" in caplog.text


@pytest.mark.parametrize(
    ("standing", "expected"),
    [
        (Standing(leased=100, ceiling=100, cap=120), []),
        (Standing(leased=110, ceiling=100, cap=120), [("cache", 10)]),
        (Standing(leased=130, ceiling=100, cap=120), [("cache", 10), ("idle", 5)]),
        (Standing(leased=180, ceiling=100, cap=120), [("cache", 60), ("idle", 55), ("job", 35)]),
    ],
    ids=["fits", "over the ceiling", "over the cap", "far over the cap"],
)
async def test_only_above_the_cap_is_anybody_ended(
    makers: RoomMakers, asked: Asked, standing: Standing, expected: Asked
) -> None:
    noted: list[tuple[str, int]] = []
    await Relief(makers, noting(noted)).look(standing)
    assert asked == expected
    assert [what for what, _ in noted] == (["short"] if expected else [])


async def test_who_was_asked_has_time_to_answer(makers: RoomMakers, asked: Asked) -> None:
    relief = Relief(makers, noting([]))
    for _ in range(3):
        await relief.look(Standing(leased=110, ceiling=100, cap=120))
    assert asked == [("cache", 10)]


def readings(*free: int) -> list[Sample]:
    return [Sample(Machine(total=64 * GIB, free=one * GIB, reclaimable=8 * GIB)) for one in free]


async def test_a_neighbour_that_flaps_stops_promises_and_disturbs_nobody(
    node: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Free memory falls by 30 GiB for one reading out of five."""
    monkeypatch.setattr(node.sampler, "recent", lambda: readings(40, 40, 10, 40, 40))
    books = Books(node.row, node.ledger, node.sampler, None)
    standing = await sync_to_async(books.write)()
    assert (standing.ceiling, standing.cap) == (44 * GIB, 48 * GIB)
    assert (await sync_to_async(node.ledger.room)()).ceiling == 14 * GIB


async def test_a_ceiling_that_stays_low_asks_for_what_is_promised_beyond_it(
    node: LocalNode, monkeypatch: pytest.MonkeyPatch, asked: Asked
) -> None:
    monkeypatch.setattr(node.sampler, "recent", lambda: readings(40))
    await until_ceiling(node, 44 * GIB)
    await node.reserve("generator", "job", 40 * GIB)
    node.register_room_maker(Priority.STOP, giving(asked, "job", 40 * GIB))
    node.register_room_maker(Priority.EVICT, giving(asked, "idle", 0))
    monkeypatch.setattr(node.sampler, "recent", lambda: readings(20))
    await until(lambda: len(asked) == 2)
    assert asked == [("idle", 12 * GIB), ("job", 12 * GIB)]


async def until_ceiling(node: LocalNode, ceiling: int) -> None:
    async def reached() -> bool:
        return (await sync_to_async(node.ledger.room)()).ceiling == ceiling

    await await_for(reached, what="the ceiling to be written down")


async def test_a_worker_that_waits_for_memory_has_the_idle_asked_but_nobody_stopped(
    node: LocalNode, asked: Asked
) -> None:
    for priority, name in ((Priority.EVICT, "idle"), (Priority.STOP, "job")):
        node.register_room_maker(priority, giving(asked, name, 0))
    room = await sync_to_async(node.ledger.room)()
    await node.reserve("engine", "chat", room.free - GIB // 2)
    with pytest.raises(NoRoom) as refusal:
        await node.reserve("generator", "job", GIB)
    await until(lambda: bool(asked))
    assert asked == [("idle", refusal.value.missing)]
    assert refusal.value.missing >= GIB // 2
