"""A chat engine that computes nothing, for what the site itself costs: it takes every request at once and gives each
stream a word every TICK_SECONDS. It speaks the contract of `inference/engine/messages.py` as a worker does.

`python -m benchmarks.quick_engine --fd N`, started by the node in the place of `inference.engine.worker`.
"""

import argparse
import queue
import sys
import time

from memory.protocol import Channel, Message, serve

TICK_SECONDS = 0.002  # a step of a small model with a batch
STATUS_SECONDS = 1.0
WORD = " word"
FACTS = {"fingerprint": "f" * 64, "weights_bytes": 0, "kv_bytes_per_token": 1024}
FACTS |= {"context_limit": 4096, "context_window": 4096}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int, required=True)
    channel = Channel.inherited(parser.parse_args().fd)
    return serve(channel, "engine", "mlx-lm", {}, _work)


def _work(channel: Channel, spec: Message) -> Message:
    channel.send("ready", model={"name": "quick", **FACTS}, gate={"base_bytes": 0}, self_test={}, load_seconds=0.0)
    left: dict[str, int] = {}
    told = 0.0
    while True:
        began = time.monotonic()
        if began - told >= STATUS_SECONDS:
            told = began
            channel.send("event", phase="status", tick=1, base_bytes=0, cache={})
        if not _take(channel, left, wait=not left):
            return {}
        _step(channel, left)
        time.sleep(max(0.0, TICK_SECONDS - (time.monotonic() - began)))


def _take(channel: Channel, left: dict[str, int], *, wait: bool) -> bool:
    """Everything that was sent; false if it is to stop."""
    try:
        message = channel.inbox.get(timeout=STATUS_SECONDS / 2) if wait else channel.inbox.get_nowait()
        while True:
            if message["type"] == "stop":
                return False
            if message["type"] == "request":
                left[message["id"]] = int(message["max_tokens"])
                channel.send("event", phase="accepted", id=message["id"], prompt_tokens=3, max_tokens=9)
            elif message["type"] == "abort":
                left.pop(message["id"], None)
            message = channel.inbox.get_nowait()
    except queue.Empty:
        return True


def _step(channel: Channel, left: dict[str, int]) -> None:
    """One token of every stream, as an engine's decode step gives them."""
    deltas = []
    for id_ in list(left):
        left[id_] -= 1
        ends = {} if left[id_] else {"reason": "length"}
        deltas.append({"id": id_, "index": 0, "text": WORD, "tokens": 1, **ends})
    if deltas:
        channel.send("event", phase="deltas", deltas=deltas)
    for id_ in [id_ for id_, tokens in left.items() if not tokens]:
        del left[id_]
        usage = {"prompt_tokens": 3, "completion_tokens": 3, "cached_tokens": 0}
        choice = {"index": 0, "reason": "length", "tokens": 3}
        channel.send("event", phase="finished", id=id_, choices=[choice], usage=usage, timings={})


if __name__ == "__main__":
    sys.exit(main())
