"""An engine's life: load, test, say ready, serve until told to stop."""

import os
import sys
import time
from collections.abc import Callable

import mlx.core as mx
from mlx_lm.utils import maybe_set_recommended_wired_limit

from inference.engine import blas, models, settings
from inference.engine.answering import Answering
from inference.engine.cache.prefix import PrefixCache
from inference.engine.cache.ssd import QUEUE_BYTES, SsdTier
from inference.engine.engine import Engine
from inference.engine.gate import Gate
from inference.engine.guides.compiler import Compiler
from inference.engine.intake import Intake
from inference.engine.messages import Json
from inference.engine.models import Loaded
from inference.engine.pace import Pace
from inference.engine.readings import LiveReadings, backend
from inference.engine.selftest import self_test
from inference.engine.settings import Settings
from inference.engine.templates import Templates
from inference.engine.wired import metal, wired
from memory.protocol import Channel, Message, WorkerFailed

QUEUE_SHARE = 8  # of what the lease leaves beside the model: blocks that wait for the disk
CLOSE_SECONDS = 1.5  # for them to be written when the engine is stopped
REUSE_SHARE = 16  # of the lease: what MLX may keep for reuse instead of giving it back


def run(channel: Channel, spec: Message) -> Json:
    """Returns the totals. Raises WorkerFailed when the model cannot be served."""
    chosen = settings.read(spec)
    with wired(chosen.lease_bytes, *metal()) as follow:
        return _serve(channel, chosen, follow)


def _serve(channel: Channel, chosen: Settings, follow: Callable[[int], None]) -> Json:
    began = time.monotonic()
    mx.random.seed(int.from_bytes(os.urandom(8), "little"))
    maybe_set_recommended_wired_limit()
    mx.set_cache_limit(chosen.lease_bytes // REUSE_SHARE)

    def progress(step: int, total: int) -> None:
        channel.event("loading", step=step, total=total)

    loaded = models.open_model(chosen.model_dir, chosen.lease_bytes, progress)
    blas.settle(loaded.weights_bytes)
    tested = self_test(loaded)
    loaded.dimensions = tested.dimensions
    readings = LiveReadings()
    gate = Gate(readings, chosen.lease_bytes, least_margin=chosen.margin_bytes, on_resize=follow)
    gate.settle()
    _require_room(gate)
    prefixes = _prefixes(loaded, chosen, gate)
    engine = Engine(loaded, chosen, gate, Pace(tested.rate), channel, prefixes=prefixes)
    context = min(chosen.context_limit or loaded.context_window, loaded.context_window)
    _intake(channel, loaded, chosen, context, engine).start()
    ready = {
        "model": models.facts(loaded, chosen.model_dir, context),
        "gate": {**gate.state(), "readings": readings.names, **_machine()},
        "self_test": {"seconds": round(tested.seconds, 3), "token": tested.token},
    }
    sys.stderr.write(f"Ready: {ready}\n")
    channel.send("ready", **ready, load_seconds=round(time.monotonic() - began, 3))
    try:
        return engine.run()
    finally:
        prefixes.close(CLOSE_SECONDS)


def _prefixes(loaded: Loaded, chosen: Settings, gate: Gate) -> PrefixCache:
    slow = None
    if chosen.cache_folder and chosen.cache_quota:
        queue = min(QUEUE_BYTES, (gate.lease - gate.base) // QUEUE_SHARE)
        slow = SsdTier(chosen.cache_folder, chosen.cache_quota, queue_bytes=queue)
    return PrefixCache(loaded, loaded.bounds, gate, name=chosen.model_dir.name, hot_bytes=chosen.hot_bytes, slow=slow)


def _require_room(gate: Gate) -> None:
    if gate.base + gate.margin >= gate.lease:
        raise WorkerFailed(
            "lease_too_small",
            f"The loaded model holds {gate.base:,} bytes and {gate.margin:,} are kept as a margin; "
            f"the lease is {gate.lease:,}.",
        )


def _intake(channel: Channel, loaded: Loaded, chosen: Settings, limit: int, engine: Engine) -> Intake:
    vocab = loaded.dimensions.vocab
    width = max(vocab, loaded.vocabulary.size)
    return Intake(
        channel,
        Templates(loaded.tokenizer, loaded.marks, vocab, loaded.vocabulary.longest_token_bytes, limit),
        loaded.vocabulary,
        Answering(loaded.marks, Compiler(loaded.tokenizer, width, loaded.eos), loaded.eos, width),
        defaults=models.generation_defaults(chosen.model_dir),
        vocab_size=vocab,
        context_limit=limit,
        deliver=engine.inbox.put,
    )


def _machine() -> Json:
    on = backend()
    estimator = "analytic, fused attention where the kernel has it" if on == "metal" else "analytic, unfused attention"
    return {"estimator": estimator, "backend": on, "device": str(mx.device_info().get("device_name", on))}
