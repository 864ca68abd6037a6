"""The prefix cache through the engine: the same tokens, and fewer of them computed, whatever happened in between."""

import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.inference.engine.conftest import FAMILIES, Answer, Engine, Json

pytestmark = pytest.mark.runtime
MIB = 1024**2
BLOCK = 256
STRIDE = 4 * BLOCK
COUNT = 12
LENGTH = 1100
Start = Callable[..., Engine]
WORDS = ("the", "of", "a", "to", "Work", "License", "and", "You", "any", "or", "in", "that", "such")


def prompt(length: int, seed: int = 0) -> list[int]:
    chosen = random.Random(seed)
    return [chosen.randrange(300, 1000) for _ in range(length)]


def text(words: int, seed: int) -> str:
    chosen = random.Random(seed)
    return " ".join(chosen.choice(WORDS) for _ in range(words))


FORMS = {
    "the same": prompt(LENGTH),
    "longer": prompt(LENGTH) + prompt(150, 1),
    "diverging within a block": prompt(LENGTH)[:900] + prompt(100, 2),
    "shorter by one": prompt(LENGTH)[:-1],
    "whole blocks": prompt(LENGTH)[:1024],
    "whole blocks and one": prompt(LENGTH)[:1025],
    "a block and one": prompt(LENGTH)[: BLOCK + 1],
}


def cold(engine: Engine) -> dict[str, list[int]]:
    return {form: ask(engine, tokens, cache=False).ids() for form, tokens in FORMS.items()}


def ask(engine: Engine, tokens: list[int], **fields: Any) -> Answer:
    return engine.complete(prompt=tokens, max_tokens=COUNT, logprobs=True, **fields)


def cached(answer: Answer) -> int:
    return int(answer.end["usage"]["cached_tokens"])


def on_disk(engine: Engine) -> Json:
    """The cache's figures when nothing waits for the disk any more."""
    status = engine.until(lambda message: message.get("phase") == "status" and not message["cache"]["ssd"]["queued"])
    return dict(status["cache"])


def idle(engine: Engine) -> Json:
    return engine.until(lambda message: message.get("phase") == "status" and message["promised_bytes"] == 0)


def conversation(turns: int) -> list[Json]:
    said = [{"role": "system", "content": text(300, 1)}]
    for turn in range(turns):
        said += [
            {"role": "user", "content": text(90, 10 + turn)},
            {"role": "assistant", "content": text(30, 90 + turn)},
        ]
    return said


@pytest.fixture
def start(start_engine: Start, demo_models: dict[str, Path], tmp_path: Path) -> Start:
    """An engine with a cache on disk, the same one for all engines of a test."""

    def started(kind: str, **spec: Any) -> Engine:
        cache = {"folder": str(tmp_path / "cache"), "quota_bytes": 1 << 30, **spec.pop("cache", {})}
        engine = start_engine(demo_models[kind], cache=cache, **spec)
        engine.wait_until_ready()
        return engine

    return started


@pytest.fixture(scope="module")
def shared(engines: Start, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """An engine for each family, with small chunks and a cache on disk; tests use prompts of their own."""
    return functools.partial(engines, decode_gap_ms=10, cache_in=str(tmp_path_factory.mktemp("cache")))


@pytest.mark.parametrize("kind", FAMILIES)
def test_cold_warm_killed_and_started_again_give_the_same_tokens(kind: str, start: Start) -> None:
    engine = start(kind)
    expected = cold(engine)
    assert {form: ask(engine, tokens).ids() for form, tokens in FORMS.items()} == expected
    warm = {form: ask(engine, tokens) for form, tokens in FORMS.items()}
    assert {form: answer.ids() for form, answer in warm.items()} == expected
    assert {form: cached(answer) for form, answer in warm.items()} == {
        form: len(tokens) - 1 for form, tokens in FORMS.items()
    }
    on_disk(engine)
    engine.process.kill()
    engine.process.wait()
    again = start(kind, cache={"hot_bytes": 0})
    restored = {form: ask(again, tokens) for form, tokens in FORMS.items()}
    assert {form: answer.ids() for form, answer in restored.items()} == expected
    assert all(cached(answer) == len(FORMS[form]) - 1 for form, answer in restored.items())
    figures = again.next_status()["cache"]
    assert figures["hit_ssd_tokens"] == sum(len(tokens) - 1 for tokens in FORMS.values())
    assert figures["hit_hot_tokens"] == figures["hot"]["bytes"] == 0


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_next_turn_computes_only_what_is_new(kind: str, shared: Start) -> None:
    engine = shared(kind)
    said, last = conversation(4), 0
    for turns in range(1, 5):
        now = said[: 2 * turns]
        expected = engine.complete(kind="chat", messages=now, logprobs=True, cache=False)
        answer = engine.complete(kind="chat", messages=now, logprobs=True)
        assert answer.ids() == expected.ids()
        if turns > 1:
            assert cached(answer) == last - 1  # all but the token that decoding was fed
        last = answer.end["usage"]["prompt_tokens"]
    other = [said[0], {"role": "user", "content": text(50, 5)}]
    head = engine.complete(kind="chat", messages=other)
    assert cached(head) >= 300  # the system prompt


@pytest.mark.parametrize("kind", FAMILIES)
def test_an_aborted_prefill_is_kept_and_the_next_attempt_gets_further(kind: str, shared: Start) -> None:
    engine = shared(kind)
    tokens, reached = prompt(5000, 3), 0
    for _ in range(3):
        id_, beyond = engine.ask(prompt=tokens), reached + STRIDE
        while engine.until_said(id_, "prefill")["done"] <= beyond:
            engine.read()
        engine.send("abort", id=id_)
        assert engine.answer(id_).phase == "aborted"
        done = [event["done"] for event in engine.said[id_] if event["phase"] == "prefill"]
        assert done[0] >= reached // STRIDE * STRIDE
        reached = done[-1]
    answer = ask(engine, tokens)
    assert cached(answer) >= reached // STRIDE * STRIDE
    assert answer.ids() == ask(engine, tokens, cache=False).ids()


@pytest.mark.parametrize("kind", FAMILIES)
def test_what_was_generated_is_kept_too(kind: str, shared: Start) -> None:
    engine = shared(kind)
    asked = {length: engine.ask(prompt=prompt(length, length), max_tokens=60, logprobs=True) for length in (230, 300)}
    for length, id_ in asked.items():
        said = prompt(length, length) + engine.answer(id_).ids()
        answer = ask(engine, [*said, 400, 401])
        assert cached(answer) == len(said)
        assert answer.ids() == ask(engine, [*said, 400, 401], cache=False).ids()


def test_nothing_is_looked_up_or_kept_when_a_request_says_so(shared: Start) -> None:
    engine, tokens = shared("chat"), prompt(400, 21)
    ask(engine, tokens, cache=False)
    assert cached(ask(engine, tokens)) == 0
    assert cached(ask(engine, tokens, cache=False)) == 0
    assert cached(ask(engine, tokens)) == 399


def test_owners_do_not_share(shared: Start) -> None:
    engine = shared("chat")
    expected = ask(engine, prompt(400, 22), cache_salt="one").ids()
    assert cached(ask(engine, prompt(400, 22), cache_salt="one")) == 399
    other = ask(engine, prompt(400, 22), cache_salt="another")
    assert (cached(other), other.ids()) == (0, expected)


def test_hot_memory_is_given_back_before_anything_is_refused(start: Start) -> None:
    engine = start("chat", cache={"hot_bytes": 1 << 30, "quota_bytes": 0})
    base = engine.next_status()["base_bytes"]
    engine.send("lease", bytes=base + 32 * MIB)  # 8 of them are the least margin
    for seed in range(10):
        assert engine.complete(prompt=prompt(2_500, seed), max_tokens=2).phase == "finished"
    assert engine.complete(prompt=prompt(4_500, 11), max_tokens=2).phase == "finished"
    full = idle(engine)
    assert full["cache"]["hot"]["evicted"] > 0
    assert full["cache"]["hot"]["bytes"] > 0
    assert abs(full["base_bytes"] - base) < 16 * MIB
    engine.send("lease", bytes=full["base_bytes"] + 9 * MIB)
    engine.until(lambda message: message.get("phase") == "status" and message["lease_bytes"] < full["lease_bytes"])
    assert idle(engine)["cache"]["hot"]["bytes"] <= 2 * MIB


def test_a_prefix_that_does_not_fit_hot_is_brought_back_from_the_disk_bit_by_bit(start: Start) -> None:
    engine = start("hybrid", cache={"hot_bytes": MIB})
    tokens = prompt(4_000, 4)
    first = ask(engine, tokens)
    on_disk(engine)
    again = ask(engine, tokens)
    assert (cached(again), again.ids()) == (len(tokens) - 1, first.ids())
    status = engine.next_status()
    assert status["cache"]["hot"]["bytes"] <= MIB
    assert status["cache"]["hit_ssd_tokens"] > 0


def test_damaged_blocks_are_computed_again(start: Start, tmp_path: Path) -> None:
    engine = start("chat")
    expected = ask(engine, prompt(LENGTH)).ids()
    on_disk(engine)
    engine.process.kill()
    files = sorted((tmp_path / "cache").rglob("*.safetensors"), key=lambda file: file.stat().st_mtime_ns)
    files[2].write_bytes(files[2].read_bytes()[:-100])
    again = start("chat")
    answer = ask(again, prompt(LENGTH))
    assert answer.ids() == expected
    assert cached(answer) <= 3 * BLOCK  # of four: they are written in about the order of the prompt
    assert ask(again, prompt(LENGTH)).ids() == expected


def test_a_probe_says_which_blocks_are_where(shared: Start) -> None:
    engine = shared("hybrid")
    engine.ask(prompt=prompt(LENGTH, 23), probe=True)
    before = engine.until(lambda message: message.get("phase") == "probed")
    assert {block["where"] for block in before["blocks"]} == {"absent"}
    assert before["cached_tokens"] == 0
    ask(engine, prompt(LENGTH, 23))
    engine.ask(prompt=prompt(LENGTH, 23)[:900] + prompt(200, 2), probe=True)
    after = engine.until(lambda message: message.get("phase") == "probed")
    assert [block["where"] for block in after["blocks"]] == ["hot"] * 3 + ["absent"]
    assert not any(block["complete"] for block in after["blocks"])
    assert (after["cached_tokens"], after["prompt_tokens"]) == (0, LENGTH)
    engine.ask(prompt=[*prompt(LENGTH, 23), 400], probe=True)
    longer = engine.until(lambda message: message.get("phase") == "probed")
    assert longer["blocks"][-1] == {"end": 1024, "where": "hot", "complete": True}
    assert longer["cached_tokens"] == LENGTH - 1
