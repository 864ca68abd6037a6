"""The same tokens as mlx-lm gives to one prompt alone, however the engine cuts, mixes and interrupts."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.inference.engine.conftest import FAMILIES, Engine

pytestmark = pytest.mark.runtime
COUNT = 24
LENGTHS = (1, 2, 33, 257, 600)
REFERENCE = Path(__file__).with_name("reference.py")
Engines = Callable[..., Engine]


def prompt(length: int) -> list[int]:
    chosen = random.Random(length)
    return [chosen.randrange(300, 1000) for _ in range(length)]


@pytest.fixture(scope="session")
def golden(run_in_runtime: Callable[..., str], demo_models: dict[str, Path]) -> dict[str, dict[int, list[int]]]:
    prompts = json.dumps([prompt(length) for length in LENGTHS])
    found = {}
    for kind in FAMILIES:
        tokens = json.loads(run_in_runtime(REFERENCE, demo_models[kind], prompts, str(COUNT)))
        found[kind] = dict(zip(LENGTHS, tokens, strict=True))
    return found


def ask(engine: Engine, length: int, **fields: object) -> str:
    return engine.ask(prompt=prompt(length), max_tokens=COUNT, logprobs=True, **fields)


@pytest.mark.parametrize("kind", FAMILIES)
def test_alone(kind: str, engines: Engines, golden: dict[str, dict[int, list[int]]]) -> None:
    for length in LENGTHS:
        assert engines(kind).answer(ask(engines(kind), length)).ids() == golden[kind][length], length


@pytest.mark.parametrize("kind", FAMILIES)
def test_together(kind: str, engines: Engines, golden: dict[str, dict[int, list[int]]]) -> None:
    asked = {length: ask(engines(kind), length) for length in (*LENGTHS, *LENGTHS)}
    assert {length: engines(kind).answer(id_).ids() for length, id_ in asked.items()} == golden[kind]


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("gap", [0.01, 2000])
def test_with_the_smallest_chunks_and_the_largest(
    kind: str, gap: float, engines: Engines, golden: dict[str, dict[int, list[int]]]
) -> None:
    engine = engines(kind, decode_gap_ms=gap)
    ids = {length: ask(engine, length) for length in LENGTHS}
    assert {length: engine.answer(id_).ids() for length, id_ in ids.items()} == golden[kind]
    chunks = [event for event in engine.said[ids[600]] if event["phase"] == "prefill"]
    assert len(chunks) >= 10 if gap < 1 else len(chunks) <= 1


@pytest.mark.parametrize("kind", FAMILIES)
def test_beside_a_neighbour_that_is_aborted(
    kind: str, engines: Engines, golden: dict[str, dict[int, list[int]]]
) -> None:
    engine = engines(kind)
    neighbours = [ask(engine, 257, n=2), engine.ask(prompt=prompt(33), max_tokens=1000)]
    asked = {length: ask(engine, length) for length in (33, 600)}
    engine.until_said(neighbours[1], "delta")
    for neighbour in neighbours:
        engine.send("abort", id=neighbour)
    assert {length: engine.answer(id_).ids() for length, id_ in asked.items()} == {
        length: golden[kind][length] for length in (33, 600)
    }


@pytest.mark.parametrize("kind", FAMILIES)
def test_every_choice_of_one_request(kind: str, engines: Engines, golden: dict[str, dict[int, list[int]]]) -> None:
    answer = engines(kind).answer(ask(engines(kind), 257, n=3))
    assert [answer.ids(index) for index in range(3)] == [golden[kind][257]] * 3


@pytest.mark.parametrize("kind", FAMILIES)
def test_going_on_from_a_prompt_and_its_completion(
    kind: str, engines: Engines, golden: dict[str, dict[int, list[int]]]
) -> None:
    engine, half = engines(kind), COUNT // 2
    longer = prompt(257) + golden[kind][257][:half]
    answer = engine.complete(prompt=longer, max_tokens=half, logprobs=True)
    assert answer.ids() == golden[kind][257][half:]
    assert engine.complete(prompt=longer[:-1], max_tokens=1, logprobs=True).ids() == longer[-1:]


@pytest.mark.parametrize("kind", FAMILIES)
def test_short_prompts_of_other_lengths_filled_in_one_forward(kind: str, engines: Engines) -> None:
    """They come while a long chunk runs, so that the next forward has all of them."""
    engine, lengths = engines(kind), (70, 60, 75, 64)  # the shortest is filled first, and the others in this order
    alone = {length: engine.answer(ask(engine, length)).ids() for length in lengths}
    long = engine.ask(prompt=prompt(3000), max_tokens=1)
    engine.until_said(long, "accepted")
    asked = {length: ask(engine, length) for length in lengths}
    assert {length: engine.answer(id_).ids() for length, id_ in asked.items()} == alone
    engine.send("abort", id=long)
