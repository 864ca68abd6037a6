"""Memory is promised before it is used: who is refused, who waits, who gives way, and that all of it comes back."""

import random
from collections.abc import Callable

import pytest

from tests.inference.engine.conftest import Engine, Json

pytestmark = pytest.mark.runtime
MIB = 1024**2
Start = Callable[..., Engine]


def prompt(length: int, seed: int = 0) -> list[int]:
    chosen = random.Random(seed)
    return [chosen.randrange(300, 1000) for _ in range(length)]


def lease_for(engine: Engine, room: int) -> int:
    """Give the engine `room` bytes beside what the model itself takes."""
    ready = engine.wait_until_ready()
    lease = ready["gate"]["base_bytes"] + 8 * MIB + room  # 8 MiB is the least margin
    engine.send("lease", bytes=lease)
    engine.until(lambda message: message.get("lease_bytes") == lease)
    return int(lease)


def idle(engine: Engine) -> Json:
    return engine.until(lambda message: message.get("phase") == "status" and message["promised_bytes"] == 0)


def test_a_prompt_that_can_never_fit_is_413_before_any_forward(start_engine: Start) -> None:
    engine = start_engine()
    lease_for(engine, 24 * MIB)
    before = idle(engine)
    refused = engine.complete(prompt=prompt(20_000))
    assert (refused.phase, refused.end["status"]) == ("refused", 413)
    assert refused.end["code"] == "context_too_large_for_memory"
    assert "20,000 tokens" in refused.end["message"]
    after = idle(engine)
    assert after["prompt_tokens"] == before["prompt_tokens"]
    assert after["gate"]["refused"] == before["gate"]["refused"] + 1
    assert engine.complete(prompt=prompt(500)).phase == "finished"


def test_a_crowded_engine_says_503_and_when_to_come_again(start_engine: Start) -> None:
    engine = start_engine(patience=0.2)
    lease_for(engine, 8 * MIB)
    running = engine.ask(prompt=prompt(3_000), max_tokens=20_000)
    engine.until_said(running, "delta")
    crowded = engine.complete(prompt=prompt(3_000, 1))
    assert (crowded.end["status"], crowded.end["code"]) == (503, "no_room")
    assert 1 <= crowded.end["retry_after"] <= 60
    assert engine.complete(prompt=prompt(50)).phase == "finished"
    engine.send("abort", id=running)
    assert engine.answer(running).phase == "aborted"
    assert engine.complete(prompt=prompt(2_500, 1)).phase == "finished"


def test_one_that_does_not_fit_now_waits_and_is_served_when_it_does(start_engine: Start) -> None:
    engine = start_engine(patience=60)
    lease_for(engine, 14 * MIB)
    asked = [engine.ask(prompt=prompt(5_000, seed), max_tokens=20) for seed in range(3)]
    assert [engine.answer(id_).phase for id_ in asked] == ["finished"] * 3


def test_a_full_queue_is_503(start_engine: Start) -> None:
    engine = start_engine(max_waiting=2, max_sequences=16)
    engine.wait_until_ready()
    running = [engine.ask(prompt=[400], max_tokens=4000) for _ in range(16)]
    for id_ in running:
        engine.until_said(id_, "delta")
    waiting = [engine.ask(prompt=[400]) for _ in range(2)]
    refused = engine.complete(prompt=[400])
    assert (refused.end["status"], refused.end["code"]) == (503, "queue_full")
    engine.send("abort", id=waiting[0])
    assert engine.answer(waiting[0]).phase == "aborted"


def test_those_that_grow_beyond_the_lease_take_turns_and_all_end_as_they_would_alone(start_engine: Start) -> None:
    engine = start_engine()
    engine.wait_until_ready()
    asked = {"max_tokens": 1500, "seed": 3, "temperature": 1, "logprobs": True}
    alone = [engine.complete(prompt=prompt(600, seed), **asked).ids() for seed in range(4)]
    ready = idle(engine)
    lease = ready["base_bytes"] + 8 * MIB + 10 * MIB
    engine.send("lease", bytes=lease)
    ids = [engine.ask(prompt=prompt(600, seed), **asked) for seed in range(4)]
    answers = [engine.answer(id_) for id_ in ids]
    assert [answer.phase for answer in answers] == ["finished"] * 4
    assert [answer.ids() for answer in answers] == alone
    assert engine.next_status()["gate"]["waited"] > 0


def test_one_that_outgrows_the_lease_alone_is_ended_with_the_numbers(start_engine: Start) -> None:
    engine = start_engine()
    lease = lease_for(engine, 12 * MIB)
    answer = engine.complete(prompt=prompt(600), max_tokens=30_000)
    assert (answer.phase, answer.end["status"]) == ("failed", 413)
    assert f"{lease:,}" in answer.end["message"]
    assert engine.complete(prompt=prompt(100)).phase == "finished"


def test_a_lease_that_shrinks_holds_for_those_that_wait(start_engine: Start) -> None:
    engine = start_engine(patience=60)
    lease_for(engine, 8 * MIB)
    running = engine.ask(prompt=prompt(3_000), max_tokens=20_000)
    engine.until_said(running, "delta")
    waiting = engine.ask(prompt=prompt(3_000, 1))
    engine.send("lease", bytes=engine.next_status()["base_bytes"] + 9 * MIB)
    assert engine.answer(running).end["status"] == 413
    assert engine.answer(waiting).end["status"] == 413


def in_use(status: Json) -> int:
    """Bytes that are active and no prompt that is kept for its like."""
    return int(status["active_bytes"] - status["cache"]["hot"]["bytes"])


def test_memory_comes_back(engine: Engine) -> None:
    before = in_use(idle(engine))
    asked = [engine.ask(prompt=prompt(1500, seed), max_tokens=50, n=2) for seed in range(8)]
    for id_ in asked:
        engine.until_said(id_, "accepted")
    for id_ in asked[::2]:
        engine.send("abort", id=id_)
    for id_ in asked:
        engine.answer(id_)
    assert in_use(idle(engine)) <= before + MIB


def test_an_abort_ends_a_prefill_within_a_chunk(start_engine: Start) -> None:
    engine = start_engine(decode_gap_ms=20)
    engine.wait_until_ready()
    long = engine.ask(prompt=prompt(30_000))
    seen = engine.until_said(long, "prefill")
    engine.send("abort", id=long)
    chunks = len(engine.said[long])
    answer = engine.answer(long)
    assert answer.phase == "aborted"
    assert seen["total"] == 29_999
    assert len(answer.events) - chunks <= 3  # what was on its way, the chunk that ran, and the end
    assert in_use(idle(engine)) < 16 * MIB
