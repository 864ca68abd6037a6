"""An engine's life: hello, loading, ready, and how it ends."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from memory.protocol import EXIT_LOST_NODE
from tests.inference.engine.conftest import DEADLINE, FAMILIES, Engine

pytestmark = pytest.mark.runtime
Start = Callable[..., Engine]
CACHES = {"chat": ["KVCache"], "hybrid": ["ArraysCache", "KVCache"], "swa": ["KVCache", "RotatingKVCache"]}


@pytest.mark.parametrize("kind", FAMILIES)
def test_it_says_what_it_is_and_what_its_gate_goes_by(
    kind: str, start_engine: Start, demo_models: dict[str, Path]
) -> None:
    engine = start_engine(demo_models[kind])
    hello = engine.read()
    assert (hello["type"], hello["kind"], hello["runtime"]) == ("hello", "engine", "mlx-lm")
    loading = engine.read()
    assert loading["phase"] == "loading"
    assert 0 < loading["step"] <= loading["total"]
    ready = engine.wait_until_ready()
    model, gate = ready["model"], ready["gate"]
    assert (model["context_window"], model["vocab_size"], model["eos_token_ids"]) == (32768, 1024, [2])
    assert model["chat_template"] is True
    assert model["cache_kinds"] == CACHES[kind]
    assert len(model["fingerprint"]) == 64
    assert gate["lease_bytes"] == 1 << 30
    assert gate["base_bytes"] > model["weights_bytes"]
    assert gate["margin_bytes"] >= 8 * 1024**2
    assert gate["readings"][:2] == ["active", "peak"]
    assert 0 <= ready["self_test"]["token"] < 1024
    assert "Ready: " in engine.log.read_text()


def test_stop_ends_it_and_its_requests_are_told(start_engine: Start) -> None:
    engine = start_engine()
    engine.wait_until_ready()
    assert engine.complete(prompt=[400]).phase == "finished"
    running = engine.ask(prompt=[400], max_tokens=20_000)
    engine.until_said(running, "delta")
    engine.send("stop")
    done = engine.until(lambda message: message["type"] == "done")
    assert engine.said[running][-1]["phase"] == "failed"
    assert engine.said[running][-1]["status"] == 503
    assert done["manifest"]["requests"] == 1
    assert engine.process.wait(DEADLINE) == 0


def test_it_does_not_outlive_its_node(start_engine: Start) -> None:
    engine = start_engine()
    engine.wait_until_ready()
    engine.ask(prompt=[400], max_tokens=20_000)
    engine.hang_up()
    assert engine.process.wait(5) in (0, 1, EXIT_LOST_NODE)


def test_requests_sent_while_it_loads_are_served(start_engine: Start) -> None:
    engine = start_engine()
    first, second = engine.ask(prompt=[400]), engine.ask(prompt=[400])
    engine.send("abort", id=first)
    assert engine.answer(first).phase in ("aborted", "finished")
    assert engine.answer(second).phase == "finished"


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({"lease_bytes": 1_000_000}, "lease_too_small"),
        ({"lease_bytes": 20_000_000}, "lease_too_small"),
        ({"lease_bytes": "much"}, "bad_spec"),
        ({"model_dir": "/nowhere"}, "model_unusable"),
    ],
)
def test_it_says_why_it_cannot_start(start_engine: Start, spec: dict[str, object], code: str) -> None:
    failed = start_engine(**spec).until(lambda message: message["type"] == "failed")
    assert failed["code"] == code
    assert failed["message"].endswith(".")


@pytest.mark.parametrize("fault", ["no weights", "unknown type", "no config", "cut short"])
def test_a_broken_checkpoint_is_model_unusable(
    start_engine: Start, demo_models: dict[str, Path], tmp_path: Path, fault: str
) -> None:
    model = Path(shutil.copytree(demo_models["chat"], tmp_path / "broken"))
    if fault == "no weights":
        (model / "model.safetensors").unlink()
    elif fault == "no config":
        (model / "config.json").unlink()
    elif fault == "cut short":
        weights = (model / "model.safetensors").read_bytes()
        (model / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    else:
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps(config | {"model_type": "never-heard-of"}))
    failed = start_engine(model).until(lambda message: message["type"] == "failed")
    assert failed["code"] == "model_unusable", failed


def test_a_shorter_context_can_be_set_and_is_refused_with_both_numbers(engines: Start) -> None:
    engine = engines("chat", context_limit=100)
    assert engine.complete(prompt=[400] * 99, max_tokens=50).end["usage"]["completion_tokens"] == 1
    refused = engine.complete(prompt=[400] * 100)
    assert (refused.end["status"], refused.end["code"]) == (400, "context_length_exceeded")
    assert "context is 100 tokens, and the prompt has 100" in refused.end["message"]


def test_a_demo_model_has_the_same_bytes_every_time_and_is_never_half_made(
    run_in_runtime: Callable[..., str], demo_models: dict[str, Path], tmp_path: Path
) -> None:
    again = tmp_path / "models" / "demo-hybrid"
    assert "is made" in run_in_runtime("-m", "inference.engine.demo", again, "--kind", "hybrid")
    for path in sorted(demo_models["hybrid"].iterdir()):
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
    assert "is there already" in run_in_runtime("-m", "inference.engine.demo", again, "--kind", "hybrid")
    assert [path.name for path in again.parent.iterdir()] == ["demo-hybrid"]


def test_a_demo_model_does_not_replace_what_is_not_one(run_in_runtime: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(AssertionError, match="is not a demo model"):
        run_in_runtime("-m", "inference.engine.demo", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"
