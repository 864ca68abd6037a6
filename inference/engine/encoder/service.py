"""An encoder's life: load, test, say ready, serve until told to stop."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx

from inference.engine import settings
from inference.engine.encoder import loaded as models
from inference.engine.encoder.batches import Batch
from inference.engine.encoder.encoder import Encoder
from inference.engine.encoder.intake import Intake
from inference.engine.encoder.loaded import Loaded
from inference.engine.encoder.requests import Request
from inference.engine.encoder.texts import Row, Texts, open_tokenizer
from inference.engine.gate import Gate
from inference.engine.messages import Json
from inference.engine.readings import LiveReadings, backend
from inference.engine.settings import Settings
from inference.engine.wired import metal, wired
from memory.protocol import Channel, Message, WorkerFailed

REUSE_SHARE = 16  # of the lease: what MLX may keep for reuse instead of giving it back
TEST_TOKENS = 16


def run(channel: Channel, spec: Message) -> Json:
    """Returns the totals. Raises WorkerFailed when the model cannot be served."""
    chosen = settings.read(spec)
    with wired(chosen.lease_bytes, *metal()) as follow:
        return _serve(channel, chosen, str(spec.get("task") or ""), follow)


def _serve(channel: Channel, chosen: Settings, task: str, follow: Callable[[int], None]) -> Json:
    began = time.monotonic()
    mx.set_cache_limit(chosen.lease_bytes // REUSE_SHARE)

    def progress(step: int, total: int) -> None:
        channel.event("loading", step=step, total=total)

    loaded = models.open_model(chosen.model_dir, task, chosen.lease_bytes, progress)
    limit = min(chosen.context_limit or loaded.plan.window, loaded.plan.window)
    texts = _texts(chosen.model_dir, loaded, limit)
    tested = _self_test(loaded)
    readings = LiveReadings()
    gate = Gate(readings, chosen.lease_bytes, least_margin=chosen.margin_bytes, on_resize=follow)
    gate.settle()
    _require_room(gate)
    encoder = Encoder(loaded, chosen, gate, channel)
    Intake(channel, loaded.plan, texts, encoder.inbox.put).start()
    ready = {
        "model": models.facts(loaded, chosen.model_dir, limit),
        "gate": {**gate.state(), "readings": readings.names, **_machine()},
        "self_test": {"seconds": round(tested, 3)},
    }
    sys.stderr.write(f"Ready: {ready}\n")
    channel.send("ready", **ready, load_seconds=round(time.monotonic() - began, 3))
    return encoder.run()


def _machine() -> Json:
    on = backend()
    device = str(mx.device_info().get("device_name", on))
    return {"estimator": "analytic, unfused attention", "backend": on, "device": device}


def _texts(folder: Path, loaded: Loaded, limit: int) -> Texts:
    texts = Texts(open_tokenizer(folder), loaded.plan, loaded.vocab, limit)
    if loaded.plan.head == "words":
        loaded.yes_no = texts.yes_no
    return texts


def _self_test(loaded: Loaded) -> float:
    """Compute one row; seconds. Raises WorkerFailed self_test_failed when it is not a number."""
    began = time.monotonic()
    length = min(TEST_TOKENS, loaded.plan.window)
    row = Row([(7 * at + 1) % loaded.vocab for at in range(length)], [0] * length)
    found = loaded.answers(Batch([(Request("self-test", [row], began), 0)]))
    if not mx.all(mx.isfinite(found)).item():
        raise WorkerFailed("self_test_failed", "The model's first answer is not a number; its weights are damaged.")
    return time.monotonic() - began


def _require_room(gate: Gate) -> None:
    if gate.base + gate.margin >= gate.lease:
        raise WorkerFailed(
            "lease_too_small",
            f"The loaded model holds {gate.base:,} bytes and {gate.margin:,} are kept as a margin; "
            f"the lease is {gate.lease:,}.",
        )
