"""What HTTP costs on top of the engine: `python -m benchmarks.chat_overhead [--large] [--rounds 3]`.

The same prompts (75 random tokens, 64 generated, greedy) on the same model, in turns: through the shipped server,
through an engine's socket alone, and through mlx-lm's BatchGenerator alone; the best round of each counts. Then 256
clients at once. The clients share the machine with the server.
"""

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine_raw import HOME, OUTPUT, STREAMS, Engine, Raw, make, prompts, runtime
from tests.early import make_home
from tests.helpers import wait_for
from tests.servers import Server, manage, running

KEY = "benchmark"
CROWD = 256


@dataclass
class Round:
    """Seconds for all streams, and to the first text of each."""

    seconds: float
    firsts: list[float]
    errors: int


async def stream(port: int, prompt: list[int], began: float) -> float | None:
    """One request on a connection of its own; seconds to its first text, or None if it did not end well."""
    fields = {"prompt": prompt, "max_tokens": OUTPUT, "temperature": 0, "ignore_eos": True, "stream": True}
    body = json.dumps(fields).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n"
    first, seen = None, b""
    with suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        while data := await reader.read(2**16):
            if first is None and b'"text"' in data:
                first = time.perf_counter() - began
            seen = seen[-64:] + data
        writer.close()
    return first if b"[DONE]" in seen else None


async def serve(port: int, asked: list[list[int]]) -> Round:
    began = time.perf_counter()
    firsts = await asyncio.gather(*(stream(port, prompt, began) for prompt in asked))
    good = sorted(first for first in firsts if first is not None)
    return Round(time.perf_counter() - began, good, len(firsts) - len(good))


def compare(server: Server, engine: Engine, raw: Raw, rounds: int) -> None:
    port = int(server.base_url.rpartition(":")[2])
    for streams in STREAMS:
        asyncio.run(serve(port, prompts(streams, seed=99)))
        engine.serve(prompts(streams, seed=99))
        raw.round(streams, 99)
    print(" streams    HTTP  engine     raw  tok/s  /engine   /raw  TTFT p50    p95  ms")
    for streams in STREAMS:
        ours = alone = bare = 0.0
        firsts: list[float] = []
        for at in range(rounds):
            one = asyncio.run(serve(port, prompts(streams, seed=at)))
            assert not one.errors
            ours, firsts = max(ours, streams * OUTPUT / one.seconds), sorted(firsts + one.firsts)
            alone = max(alone, streams * OUTPUT / engine.serve(prompts(streams, seed=at))[0])
            bare = max(bare, raw.round(streams, at))
        p50, p95 = 1000 * firsts[len(firsts) // 2], 1000 * firsts[int(len(firsts) * 0.95)]
        print(
            f"{streams:>8}{ours:>8.0f}{alone:>8.0f}{bare:>8.0f}       {ours / alone:>9.2f}{ours / bare:>7.2f}"
            f"{p50:>10.1f}{p95:>7.1f}",
            flush=True,
        )
    crowd = asyncio.run(serve(port, prompts(CROWD, seed=5)))
    print(f"{CROWD} clients at once: {crowd.errors} errors, all answered in {crowd.seconds:.1f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=HOME, help="whose worker environment is used")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="45 million parameters, where a step takes over 5 ms")
    chosen = parser.parse_args()
    python = runtime(chosen.home)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        (home / "runtimes").symlink_to(chosen.home.absolute() / "runtimes")
        make_home(home)
        model = home / "models" / "chat"
        model.mkdir(parents=True)
        make(python, model, large=chosen.large)
        manage("migrate", home=home)
        manage("firststart", home=home, env={"FMLX_API_KEY": KEY})
        with running(home=home) as server:
            there = ("--url", server.base_url, "--key", KEY)
            wait_for(lambda: "chat" in manage("models", *there, home=home), 20)
            manage("models", "load", "chat", *there, home=home)
            engine, raw = Engine(python, model), Raw(python, model)
            compare(server, engine, raw, chosen.rounds)
            engine.close()
            raw.close()


if __name__ == "__main__":
    main()
