"""Who waits for whom: short prompts pass long ones, long ones are not forgotten, and running streams go on."""

import random
import time
from collections.abc import Callable

import pytest

from tests.inference.engine.conftest import Engine

pytestmark = [pytest.mark.runtime, pytest.mark.quiet]


def prompt(length: int, seed: int = 0) -> list[int]:
    chosen = random.Random(seed)
    return [chosen.randrange(300, 1000) for _ in range(length)]


def test_a_short_prompt_behind_a_long_one_has_its_first_token_within_three_chunks(engine: Engine) -> None:
    long = engine.ask(prompt=prompt(20_000))
    engine.until_said(long, "prefill")
    before = engine.said[long][-1]["done"]
    short = engine.ask(prompt=prompt(10))
    engine.until_said(short, "delta")
    chunks = [event for event in engine.said[long] if event["phase"] == "prefill" and event["done"] > before]
    assert len(chunks) <= 3
    engine.send("abort", id=long)
    assert engine.answer(long).phase == "aborted"


def test_a_first_token_does_not_wait_for_a_chunk_of_another_prompt(engines: Callable[..., Engine]) -> None:
    """Alone, and beside a stream that is under way: with so small a gap a tick fills one chunk of one prompt."""
    engine = engines("chat", decode_gap_ms=0.01)
    long = engine.ask(prompt=prompt(6_000))
    engine.until_said(long, "prefill")
    beside = []
    for seed in range(2):
        beside.append(engine.ask(prompt=prompt(10, seed), max_tokens=1000))
        engine.until_said(beside[-1], "accepted")
        chunks = len(engine.said[long])
        engine.until_said(beside[-1], "delta")
        assert len(engine.said[long]) == chunks
    for id_ in (long, *beside):
        engine.send("abort", id=id_)
        engine.answer(id_)


def test_a_long_prompt_is_not_starved_by_short_ones_that_keep_coming(engine: Engine) -> None:
    long = engine.ask(prompt=prompt(4_000), max_tokens=1)
    short = [engine.ask(prompt=prompt(300, seed), max_tokens=1) for seed in range(8)]
    served = 0
    while not engine.said.get(long) or engine.said[long][-1]["phase"] != "finished":
        assert served < 400, "The long prompt starves."
        engine.answer(short.pop(0))
        served += 1
        short.append(engine.ask(prompt=prompt(300, served), max_tokens=1))
    for id_ in short:
        engine.answer(id_)


def test_a_running_stream_gets_tokens_between_the_chunks_of_a_newcomer(engine: Engine) -> None:
    steady = engine.ask(prompt=prompt(10), max_tokens=4000)
    engine.until_said(steady, "delta")
    newcomer = engine.ask(prompt=prompt(6_000), max_tokens=1)  # some chunks also where these are large
    engine.until_said(newcomer, "prefill")
    before = tokens(engine, steady)
    engine.answer(newcomer)
    chunks = sum(event["phase"] == "prefill" for event in engine.said[newcomer])
    came = tokens(engine, steady) - before
    engine.send("abort", id=steady)
    engine.answer(steady)
    assert chunks >= 3
    assert came >= chunks - 3  # one for every chunk, but for those under way at both ends


def tokens(engine: Engine, id_: str) -> int:
    return sum(event.get("tokens", 0) for event in engine.said[id_])


def test_a_long_sequence_decodes_apart_from_short_ones(engine: Engine) -> None:
    """Padded to its length, eight short sequences would read 32 MiB in vain at every step."""
    short = [engine.ask(prompt=prompt(10, seed), max_tokens=2000) for seed in range(8)]
    long = engine.ask(prompt=prompt(4_000), max_tokens=2000)
    engine.until_said(long, "delta")
    together = engine.until(lambda message: message.get("phase") == "status" and message["running"] == 9)
    assert together["cohorts"] == 2
    for id_ in (*short, long):
        engine.send("abort", id=id_)
        engine.answer(id_)


def test_256_requests_at_once_are_all_served(engines: Callable[..., Engine]) -> None:
    engine = engines("chat")
    began = time.monotonic()
    asked = [engine.ask(prompt=prompt(20, seed), max_tokens=4, stream=seed % 2 == 0) for seed in range(256)]
    assert {engine.answer(id_).phase for id_ in asked} == {"finished"}
    assert time.monotonic() - began < 60
