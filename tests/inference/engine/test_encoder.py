"""Encoders: the networks against transformers' own answers, and the real process at the other end of a real socket."""

import base64
import json
import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.inference.engine.conftest import Engine
from tests.inference.engine.encoders import families
from tests.inference.engine.encoders.families import FAMILIES

pytestmark = pytest.mark.runtime
ANSWERS = json.loads((Path(families.__file__).with_name("answers.json")).read_text(encoding="utf-8"))
WORKER = "inference.engine.encoder.worker"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture(scope="module")
def compared(run_in_runtime: Callable[..., str], folder: Path) -> Json:
    """One process loads all the families, and answers together and alone."""
    said: Json = json.loads(run_in_runtime("-m", "tests.inference.engine.encoders.compare", folder))
    return said


@pytest.fixture(scope="module")
def encoder(runtime_python: Path, compared: Json, folder: Path) -> Iterator[Engine]:
    engine = Engine(runtime_python, folder / "encoder.log", folder / "bert", worker=WORKER)
    engine.wait_until_ready()
    yield engine
    engine.close()


def cosine(one: list[float], other: list[float]) -> float:
    lengths = math.sqrt(math.sumprod(one, one) * math.sumprod(other, other)) if hasattr(math, "sumprod") else 0
    product = sum(left * right for left, right in zip(one, other, strict=True))
    lengths = lengths or math.sqrt(sum(value * value for value in one) * sum(value * value for value in other))
    return product / lengths


@pytest.mark.parametrize("name", [name for name in FAMILIES if FAMILIES[name].pooling])
def test_vectors_are_those_of_transformers(compared: Json, name: str) -> None:
    for vector, expected in zip(compared[name]["together"], ANSWERS[name]["expected"], strict=True):
        assert cosine(vector, expected) >= 0.99999
        assert math.isclose(sum(value * value for value in vector), 1, abs_tol=1e-5)


@pytest.mark.parametrize("name", [name for name in FAMILIES if not FAMILIES[name].pooling])
def test_scores_are_those_of_transformers(compared: Json, name: str) -> None:
    for [score], expected in zip(compared[name]["together"], ANSWERS[name]["expected"], strict=True):
        assert score == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_padding_never_leaks_in_and_a_forward_stays_within_its_bound(compared: Json, name: str) -> None:
    for together, alone in zip(compared[name]["together"], compared[name]["alone"], strict=True):
        assert together == pytest.approx(alone, abs=2e-6)
    assert max(compared[name]["bounds"]) <= 1


def vectors(engine: Engine, **request: Any) -> dict[int, list[float]]:
    """By the number of the input."""
    found: dict[int, list[float]] = {}
    for event in engine.answer(engine.ask(**request)).events:
        if event["phase"] == "vectors":
            data = base64.b64decode(event["data"])
            values = struct.unpack(f"<{len(data) // 4}f", data)
            width = len(values) // len(event["numbers"])
            found |= {n: list(values[at * width : (at + 1) * width]) for at, n in enumerate(event["numbers"])}
    return found


def test_a_request_of_many_lengths_comes_back_in_its_own_order(encoder: Engine) -> None:
    texts = [f"{'ball ' * (number % 19)}{number}" for number in range(150)]
    found = vectors(encoder, kind="embed", inputs=texts)
    assert sorted(found) == list(range(150))
    for number in (0, 18, 149):
        assert found[number] == pytest.approx(vectors(encoder, kind="embed", inputs=[texts[number]])[0], abs=2e-6)


def test_a_small_request_does_not_wait_for_a_large_one(encoder: Engine) -> None:
    large = encoder.ask(kind="embed", inputs=["a red ball " * 10] * 1000)
    small = encoder.ask(kind="embed", inputs=["short"])
    encoder.answer(small)
    assert "finished" not in [event["phase"] for event in encoder.said.get(large, [])]
    encoder.send("abort", id=large)
    assert encoder.answer(large).phase == "aborted"


def test_dimensions_are_the_first_ones_made_one_long_again(encoder: Engine) -> None:
    whole = vectors(encoder, kind="embed", inputs=["a red ball"])[0]
    short = vectors(encoder, kind="embed", inputs=["a red ball"], dimensions=5)[0]
    assert len(short) == 5
    assert cosine(short, whole[:5]) == pytest.approx(1, abs=1e-5)
    assert sum(value * value for value in short) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("request_", "code", "says"),
    [
        ({"inputs": ["x" * 200]}, "context_length_exceeded", ("202", "130")),
        ({"inputs": ["ok", [5, 10**9]]}, "invalid_value", ("1000000000",)),
        ({"inputs": [[5] * 200]}, "context_length_exceeded", ("200", "130")),
        ({"inputs": []}, "empty_prompt", ()),
        ({"inputs": ["x"], "dimensions": 33}, "invalid_value", ("32", "33")),
        ({"kind": "score", "firsts": ["x"], "seconds": ["y"]}, "invalid_value", ("embedding",)),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_figures(
    encoder: Engine, request_: Json, code: str, says: tuple[str, ...]
) -> None:
    answer = encoder.answer(encoder.ask(**{"kind": "embed", **request_}))
    assert (answer.phase, answer.end["status"], answer.end["code"]) == ("refused", 400, code)
    assert all(figure in answer.end["message"] for figure in says)


def test_a_long_text_is_cut_when_that_is_asked_for(encoder: Engine) -> None:
    """To its start and the special tokens around it."""
    long, kept = "abcdefgh" * 30, ("abcdefgh" * 30)[:128]
    cut = encoder.answer(encoder.ask(kind="embed", inputs=[long], most=1000))
    assert cut.end["usage"]["prompt_tokens"] == 130
    found = vectors(encoder, kind="embed", inputs=[long], most=1000)[0]
    assert found == pytest.approx(vectors(encoder, kind="embed", inputs=[kept])[0], abs=2e-6)


def test_a_special_tokens_name_in_a_text_is_text(encoder: Engine) -> None:
    said = encoder.answer(encoder.ask(kind="embed", inputs=["[SEP]"]))
    assert said.end["usage"]["prompt_tokens"] == 2 + len("[SEP]")


def test_a_batch_that_does_not_fit_is_made_smaller_and_a_row_that_never_can_is_refused(
    runtime_python: Path, compared: Json, folder: Path, tmp_path: Path
) -> None:
    engine = Engine(runtime_python, tmp_path / "log", folder / "bert", worker=WORKER, lease_bytes=1 << 40)
    try:
        ready = engine.wait_until_ready()
        some = 24 * 1024**2  # a forward over all the rows would take more than twice as much
        engine.send("lease", bytes=ready["gate"]["base_bytes"] + some)
        assert len(vectors(engine, kind="embed", inputs=["a red ball " * 11] * 64)) == 64
        engine.send("lease", bytes=ready["gate"]["base_bytes"])
        answer = engine.answer(engine.ask(kind="embed", inputs=["a red ball " * 11]))
        assert (answer.phase, answer.end["code"]) == ("refused", "context_too_large_for_memory")
    finally:
        engine.close()
