"""Which engine answers: loaded once, evicted in order, lost and found again. Only the engine is scripted."""

import asyncio
import functools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from asgiref.sync import sync_to_async
from pytest_django import Settings

from inference import keeper, resident
from inference.catalog import Served
from inference.client import Answer, Event
from inference.errors import EngineRefused, LoadFailed, ModelsPinned, NoRoomForModel
from inference.models import ModelFolder, ModelSettings
from inference.pool import Pool
from memory import NeverFits, NoRoom, Priority, Shortage
from memory.models import Event as MemoryEvent
from memory.models import Lease, Tally
from memory.node import LocalNode
from tests.helpers import await_for
from tests.inference.conftest import CEILING_BYTES, MIB
from tests.inference.scripted import Scripted

MakeModel = Callable[..., Awaitable[Served]]


@asynccontextmanager
async def asked(pool: Pool, model: Served, prompt: str = "hello", id_: str = "") -> AsyncIterator[Answer]:
    async with (
        pool.engine_for(model) as engine,
        engine.ask({"id": id_ or uuid.uuid4().hex, "kind": "completion", "prompt": prompt}) as said,
    ):
        yield said


async def answer(pool: Pool, model: Served, prompt: str = "hello") -> Event:
    async with asked(pool, model, prompt) as said:
        return (await said.next())[-1]


async def leased() -> dict[str, int]:
    return {lease.holder: lease.bytes async for lease in Lease.objects.all()}


async def _leases(name: str, size: int) -> bool:
    return (await leased()).get(name) == size


async def test_many_who_ask_at_once_cause_one_load(pool: Pool, make_model: MakeModel, scripted: Scripted) -> None:
    model = await make_model("a")
    scripted.gate.clear()
    asking = [asyncio.create_task(answer(pool, model)) for _ in range(10)]
    await await_for(lambda: "a" in pool.entries and pool.entries["a"].progress == (1, 2))
    scripted.gate.set()
    said = await asyncio.gather(*asking)
    assert [event["choices"][0]["text"] for event in said] == ["one two three"] * 10
    assert scripted.starts == ["a"]


async def test_a_load_goes_on_when_all_who_wait_leave(pool: Pool, make_model: MakeModel, scripted: Scripted) -> None:
    model = await make_model("a")
    scripted.gate.clear()
    asking = asyncio.create_task(answer(pool, model))
    await await_for(lambda: scripted.starts)
    asking.cancel()
    scripted.gate.set()
    await await_for(lambda: pool.entries["a"].resident)
    assert pool.entries["a"].idle


async def test_the_longest_unused_goes_first_and_the_pinned_stays(
    pool: Pool, make_model: MakeModel, scripted: Scripted
) -> None:
    scripted.base_bytes = 400 * MIB
    pinned, a, b, c = [await make_model(name, pinned=name == "pinned") for name in ("pinned", "a", "b", "c")]
    for model in (pinned, b, a, b):
        await answer(pool, model)
    await answer(pool, c)
    assert set(await leased()) == {"pinned", "b", "c"}


async def test_an_engine_at_work_is_not_evicted_and_the_newcomer_is_told(
    pool: Pool, make_model: MakeModel, scripted: Scripted
) -> None:
    scripted.base_bytes = 2600 * MIB
    a, b = await make_model("a"), await make_model("b")
    async with asked(pool, a, "hang"):
        with pytest.raises(NoRoomForModel, match=r"b needs 0\.63 GiB") as refusal:
            await answer(pool, b)
        assert (refusal.value.status, refusal.value.retry_after) == (503, 5)
    await answer(pool, b)
    assert set(await leased()) == {"b"}


async def test_a_model_that_could_never_fit_is_413(pool: Pool, make_model: MakeModel) -> None:
    model = await make_model("huge", 4096 * MIB)
    with pytest.raises(NeverFits, match=r"this machine can promise 3\.00 GiB at most") as refusal:
        await answer(pool, model)
    assert refusal.value.status == 413


async def test_other_work_that_finds_no_room_is_given_an_idle_engines(
    pool: Pool, node: LocalNode, make_model: MakeModel, scripted: Scripted
) -> None:
    scripted.base_bytes = 2000 * MIB
    await answer(pool, await make_model("a"))
    with pytest.raises(NoRoom):
        await node.reserve("generator", "video_1", 2000 * MIB)

    async def fits() -> bool:
        try:
            await node.reserve("generator", "video_1", 2000 * MIB)
        except NoRoom:
            return False
        return True

    await await_for(fits)
    assert set(await leased()) == {"video_1"}


async def test_nothing_is_evicted_for_work_that_it_would_not_help(
    pool: Pool, node: LocalNode, make_model: MakeModel, scripted: Scripted
) -> None:
    scripted.base_bytes = 500 * MIB
    await answer(pool, await make_model("a"))
    await node.reserve("generator", "video_1", 2000 * MIB)
    with pytest.raises(NoRoom):
        await node.reserve("generator", "video_2", 2000 * MIB)
    await asyncio.sleep(0.05)  # time in which it would have been
    assert "a" in await leased()


async def refusals() -> list[Event]:
    return [event.figures async for event in MemoryEvent.objects.filter(what="refused")]


async def test_beside_a_running_video_the_newcomer_is_told_when_it_ends(
    pool: Pool, node: LocalNode, make_model: MakeModel
) -> None:
    later = await node.reserve("generator", "video_later", 1000 * MIB)
    soon = await node.reserve("generator", "video_soon", 1800 * MIB)
    await node.expect_end(later, 3000)
    await node.expect_end(soon, 42)
    with pytest.raises(
        NoRoomForModel, match=r"Expected to end in 4\d s: generator video_soon \(1\.76 GiB\)"
    ) as refusal:
        await answer(pool, await make_model("a"))
    assert 40 <= (refusal.value.retry_after or 0) <= 42
    told = {"code": "no_room_for_model", "wanted": refusal.value.wanted, "leased": refusal.value.leased}
    assert await refusals() == [{**told, "ceiling": refusal.value.ceiling}]


async def test_beside_pinned_models_alone_there_is_no_end_to_wait_for(
    pool: Pool, make_model: MakeModel, scripted: Scripted
) -> None:
    scripted.base_bytes = 2600 * MIB
    await answer(pool, await make_model("kept", pinned=True))
    with pytest.raises(
        ModelsPinned, match=r"b needs 0\.63 GiB, and pinned models.* hold 3\.00 GiB of 3\.00"
    ) as refusal:
        await answer(pool, await make_model("b"))
    assert (refusal.value.status, refusal.value.retry_after) == (507, None)
    assert set(await leased()) == {"kept"}
    assert [event["wanted"] for event in await refusals()] == [refusal.value.wanted]


async def test_an_eviction_is_written_down_with_its_reason(
    pool: Pool, node: LocalNode, make_model: MakeModel, scripted: Scripted
) -> None:
    scripted.base_bytes = 2000 * MIB
    await answer(pool, await make_model("a"))
    with pytest.raises(NoRoom):
        await node.reserve("generator", "video_1", 2000 * MIB)

    async def evicted() -> list[MemoryEvent]:
        return [event async for event in MemoryEvent.objects.filter(what="evicted")]

    (event,) = await await_for(evicted)
    assert (event.holder, event.figures["for_holder"]) == ("a", "video_1")
    assert event.message == "a was evicted: its memory is needed for generator video_1."


async def test_what_a_gate_decides_is_one_event_a_minute_and_all_of_it_is_counted(
    pool: Pool, make_model: MakeModel, scripted: Scripted
) -> None:
    figures = {"need_bytes": 3 * MIB, "bound_bytes": MIB, "lease_bytes": 2 * MIB, "tokens": 64}
    scripted.gate_says = [{"decision": "waited", "times": times, **figures} for times in (2, 3)]
    await answer(pool, await make_model("a"))

    async def counted() -> bool:
        return await Tally.objects.filter(what="gate_waited", count=5).aexists()

    await await_for(counted)
    event = await MemoryEvent.objects.aget(what="gate")
    assert (event.holder, event.figures) == ("a", {"decision": "waited", "times": 5, **figures})


async def test_an_idle_engine_gives_up_what_it_does_not_use_and_gets_it_back(
    pool: Pool, node: LocalNode, make_model: MakeModel, scripted: Scripted
) -> None:
    scripted.base_bytes = 500 * MIB
    model = await make_model("a", pinned=True)
    await answer(pool, model)
    before = (await leased())["a"]
    await await_for(lambda: (there := pool.entries["a"].resident) and there.status.get("base_bytes"))
    assert await node._makers.make_room(Shortage(3000 * MIB), Priority.SHRINK) == before - 628 * MIB
    assert await leased() == {"a": 628 * MIB}
    await await_for(lambda: [said["bytes"] for said in scripted.heard("lease")][-1:] == [628 * MIB])
    await answer(pool, model)
    assert await leased() == {"a": before}


async def test_an_engine_that_asks_for_more_gets_it_evicts_for_it_or_is_told_the_most(
    pool: Pool, make_model: MakeModel, scripted: Scripted
) -> None:
    await answer(pool, await make_model("idle"))
    busy = await make_model("busy")
    async with asked(pool, busy, "hang"):
        before = (await leased())["busy"]
        for wanted in (before + 64 * MIB, CEILING_BYTES - 256 * MIB):
            scripted.wanted["busy"] = wanted
            await await_for(functools.partial(_leases, "busy", wanted))
        assert set(await leased()) == {"busy"}
        scripted.wanted["busy"] = 2 * CEILING_BYTES
        await await_for(lambda: any(said.get("most") for said in scripted.heard("lease")))
        assert scripted.heard("lease")[-1]["most"] == CEILING_BYTES
    resident = pool.entries["busy"].resident
    assert resident is not None
    scripted.base_bytes = 100 * MIB
    await await_for(lambda: resident.status.get("base_bytes"))
    await pool.give_back(pool.entries["busy"])
    assert (await leased())["busy"] == 100 * MIB + 512 * MIB


async def test_a_crash_is_a_clean_error_and_the_next_request_loads_again(
    pool: Pool, make_model: MakeModel, scripted: Scripted
) -> None:
    model = await make_model("a")
    with pytest.raises(EngineRefused, match="It crashed") as lost:
        await answer(pool, model, "crash")
    assert (lost.value.status, lost.value.code, lost.value.retry_after) == (503, "engine_lost", 1)
    assert (await answer(pool, model))["phase"] == "finished"
    with pytest.raises(EngineRefused):
        await answer(pool, model, "crash")
    with pytest.raises(LoadFailed, match=r"tried again in.*It crashed") as wait:
        await answer(pool, model)
    assert wait.value.retry_after
    assert scripted.starts == ["a", "a"]


async def test_a_load_that_fails_says_why_and_is_not_repeated_until_asked_by_hand(
    pool: Pool, make_model: MakeModel, scripted: Scripted
) -> None:
    model = await make_model("a")
    scripted.refuse_to_load = "Its weights are damaged."
    for _ in range(3):
        with pytest.raises(LoadFailed, match="Its weights are damaged") as failed:
            await answer(pool, model)
    assert failed.value.retry_after
    assert scripted.starts == ["a"]
    assert await leased() == {}
    assert "damaged" in (await pool.states())["a"]["problem"]
    scripted.refuse_to_load = ""
    await pool.load(model)
    assert (await pool.states())["a"]["loaded"]


async def test_leaving_before_the_end_aborts_on_the_engine(
    pool: Pool, make_model: MakeModel, scripted: Scripted
) -> None:
    model = await make_model("a")
    async with asked(pool, model, "hang", "request-1"):
        pass
    await await_for(lambda: [message["id"] for message in scripted.heard("abort")] == ["request-1"])
    async with asked(pool, model, "hello") as said:
        await said.next()
    assert len(scripted.heard("abort")) == 1


async def test_unloading_ends_what_is_on_it_and_gives_the_lease_back(pool: Pool, make_model: MakeModel) -> None:
    model = await make_model("a")
    async with asked(pool, model, "hang") as said:
        assert await pool.unload("a", "it was unloaded by hand")
        with pytest.raises(EngineRefused, match="unloaded by hand"):
            await said.next()
    assert await leased() == {}
    assert not await pool.unload("a", "again")
    assert (await answer(pool, model))["phase"] == "finished"  # no back-off: it was no fault of its own


@pytest.fixture
async def kept(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    monkeypatch.setattr(keeper, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(keeper, "CATALOG_SECONDS", 0.1)
    keeping = asyncio.create_task(keeper.keep_engines(pool))
    yield pool
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_an_unused_engine_is_unloaded_after_its_time(
    kept: Pool, make_model: MakeModel, settings: Settings
) -> None:
    settings.FMLX = settings.FMLX.model_copy(update={"engine_idle_seconds": 0.3})
    never, soon = await make_model("never", idle_seconds=0), await make_model("soon")
    await answer(kept, never)
    async with asked(kept, soon, "hang"):
        await asyncio.sleep(0.5)  # longer than its time, but in use
        assert set(await leased()) == {"never", "soon"}

    async def gone() -> bool:
        return set(await leased()) == {"never"}

    await await_for(gone)


async def test_an_engine_that_falls_silent_is_ended_and_comes_back(
    kept: Pool, make_model: MakeModel, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "SILENCE_SECONDS", 0.5)
    model = await make_model("a")
    async with asked(kept, model, "hang") as said:
        scripted.mute.set()
        with pytest.raises(EngineRefused, match="silent for over") as lost:
            await said.next()
    assert lost.value.code == "engine_lost"
    scripted.mute.clear()
    assert (await answer(kept, model))["phase"] == "finished"


async def test_what_is_pinned_is_loaded_unasked_and_what_has_no_folder_goes(
    kept: Pool, make_model: MakeModel, scripted: Scripted
) -> None:
    await make_model("a", pinned=True)
    await await_for(lambda: "a" in kept.entries and kept.entries["a"].resident)
    await sync_to_async(ModelSettings.objects.all().delete)()
    await sync_to_async(ModelFolder.objects.all().delete)()
    await await_for(lambda: kept.entries["a"].resident is None)
    assert await leased() == {}
