"""The shipped server beside others, in one run: what each gives the same clients on the same model.

    python -m benchmarks.beside_peers [--rounds 3] [--streams 1,8,32] [--home FMLX_HOME]
        --peer mlx_lm default_model "/tmp/peers/mlxlm/bin/python -m mlx_lm server --model {model} --port {port}"
        --peer rapid m "/tmp/peers/rapid/bin/rapid-mlx serve {model} --served-model-name m --port {port} --yes
                        --no-preflight --no-gc-control"

A peer is a name for the table, the name it serves the model by, and the command that starts it. Each lives in an
environment of its own outside the project, with the versions of MLX that ours has (requirements/mlx-lm.in), and must
answer `POST /v1/chat/completions`. All run at the same time and are asked in turns; the best round counts. Worker
settings (OpenBLAS, no network) are the same for all. `raw` is mlx-lm's BatchGenerator without any server: the limit.

Then the first token of a prompt that was asked before, the worst gap in a running stream while a prompt of 2000 tokens
joins, and that newcomer's first token. Times are ms. A peer that fails at something is shown with its errors.
"""

import argparse
import asyncio
import json
import os
import random
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.engine_raw import HOME, OUTPUT, Raw, environment, make
from tests.early import make_home
from tests.helpers import free_port, wait_for
from tests.servers import manage, running

KEY = "benchmark"
START_SECONDS = 300
WORDS = ("the", "of", "a", "to", "Work", "License", "and", "You", "any", "or", "in", "that", "such")
SHORT, LONG = 40, 1300  # words: some 75 and 2000 tokens of the demo's tokenizer
KEPT = {"1k": 650, "4k": 2600}


@dataclass(frozen=True)
class Server:
    name: str
    model: str
    port: int


@dataclass
class Answer:
    """`at` are the moments of its texts, `tokens` what it says it gave; `whole` if it ended as it should."""

    began: float
    at: list[float] = field(default_factory=list)
    tokens: int = 0
    whole: bool = False

    @property
    def first(self) -> float:
        return 1000 * (self.at[0] - self.began) if self.at else float("inf")

    @property
    def gap(self) -> float:
        return 1000 * max((after - before for before, after in zip(self.at, self.at[1:], strict=False)), default=0)


def words(count: int, seed: int) -> str:
    chosen = random.Random(seed)
    return " ".join(chosen.choice(WORDS) for _ in range(count))


async def ask(server: Server, text: str, tokens: int = OUTPUT) -> Answer:
    """One streamed request, on a connection of its own."""
    said = {"model": server.model, "messages": [{"role": "user", "content": text}], "max_tokens": tokens}
    body = json.dumps({**said, "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
    head += f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = Answer(time.perf_counter())
    with suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(head.encode() + body)
        while line := await reader.readline():
            if line.startswith(b"data: "):
                take(answer, line[6:].strip())
        writer.close()
    return answer


def take(answer: Answer, data: bytes) -> None:
    if data == b"[DONE]":
        answer.whole = True
        return
    chunk = json.loads(data)
    if any(choice.get("delta", {}).get("content") for choice in chunk.get("choices", ())):
        answer.at.append(time.perf_counter())
    if usage := chunk.get("usage"):
        answer.tokens = int(usage["completion_tokens"])


async def together(server: Server, streams: int, seed: int) -> tuple[float, list[Answer]]:
    began = time.perf_counter()
    answers = await asyncio.gather(*(ask(server, words(SHORT, 1000 * seed + at)) for at in range(streams)))
    tokens = sum(answer.tokens or len(answer.at) for answer in answers)
    return tokens / (time.perf_counter() - began), list(answers)


def throughput(servers: list[Server], raw: Raw, streams: int, rounds: int) -> None:
    for server in servers:
        asyncio.run(together(server, streams, 99))
    raw.round(streams, 99)
    rates: dict[str, list[float]] = {server.name: [] for server in servers}
    answers: dict[str, list[Answer]] = {server.name: [] for server in servers}
    limit = []
    for at in range(rounds):
        limit.append(raw.round(streams, at))
        for server in servers:
            rate, found = asyncio.run(together(server, streams, at))
            rates[server.name].append(rate)
            answers[server.name] += found
    print(f"{streams} streams; raw {max(limit):.0f} tokens/s")
    for name, found in answers.items():
        firsts = sorted(answer.first for answer in found)
        p50, p95 = firsts[len(firsts) // 2], firsts[int(len(firsts) * 0.95)]
        errors = sum(not answer.whole for answer in found)
        print(
            f"  {name:<12}{max(rates[name]):>7.0f} tokens/s, {max(rates[name]) / max(limit):.2f} of raw; first token "
            f"p50 {p50:.1f}, p95 {p95:.1f}{f'; {errors} of {len(found)} FAILED' if errors else ''}",
            flush=True,
        )


def again(servers: list[Server], rounds: int) -> None:
    for label, count in KEPT.items():
        firsts: dict[str, list[float]] = {server.name: [] for server in servers}
        for _ in range(rounds + 2):
            for server in servers:
                firsts[server.name].append(asyncio.run(ask(server, words(count, 7), 2)).first)
        print(f"{label} asked again: " + ", ".join(f"{name} {min(all_[2:]):.1f}" for name, all_ in firsts.items()))


async def joined(server: Server, seed: int) -> tuple[float, float]:
    steady = asyncio.create_task(ask(server, words(SHORT, seed), 400))
    await asyncio.sleep(0.3)
    newcomer = await ask(server, words(LONG, seed), 8)
    return (await steady).gap, newcomer.first


def gaps(servers: list[Server], rounds: int) -> None:
    found = {server.name: [asyncio.run(joined(server, 50 + at)) for at in range(rounds)] for server in servers}
    for name, pairs in found.items():
        gap, first = min(gap for gap, _ in pairs), min(first for _, first in pairs)
        print(f"as 2000 tokens join {name}: worst gap {gap:.0f}, their first token {first:.0f}")


@contextmanager
def peer(name: str, model: str, command: str, folder: Path) -> Iterator[Server]:
    port = free_port()
    with (folder.parent / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            shlex.split(command.format(model=folder, port=port)),
            env=environment() | {"HOME": str(folder.parent)},
            stdout=log,
            stderr=log,
        )
    try:
        server = Server(name, model, port)
        wait_for(lambda: asyncio.run(ask(server, "Hi", 2)).whole, START_SECONDS, f"an answer of {name}")
        yield server
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def ours(home: Path) -> Iterator[Server]:
    manage("migrate", home=home, timeout=START_SECONDS)
    manage("firststart", home=home, env={"FMLX_API_KEY": KEY}, timeout=START_SECONDS)
    with running(home=home, timeout=START_SECONDS) as there:
        headers = {"Authorization": f"Bearer {KEY}"}
        url = f"{there.base_url}/v1/models"
        wait_for(lambda: httpx.get(url, headers=headers, trust_env=False).json()["data"], 60, "the model being found")
        server = Server("fmlx", "chat", int(there.base_url.rpartition(":")[2]))
        wait_for(lambda: asyncio.run(ask(server, "Hi", 2)).whole, START_SECONDS, "an answer of fmlx")
        yield server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=HOME, help="whose worker environment is used")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", default="1,8,32")
    parser.add_argument("--peer", nargs=3, action="append", default=[], metavar=("NAME", "MODEL", "COMMAND"))
    chosen = parser.parse_args()
    runtimes = chosen.home.absolute() / "runtimes"
    python = runtimes / "mlx-lm" / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder) / "home"
        home.mkdir()
        (home / "runtimes").symlink_to(runtimes)
        make_home(home)
        model = home / "models" / "chat"
        model.mkdir(parents=True)
        make(python, model)
        servers = [stack.enter_context(ours(home))]
        servers += [stack.enter_context(peer(name, of, command, model)) for name, of, command in chosen.peer]
        raw = Raw(python, model)
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        for streams in map(int, chosen.streams.split(",")):
            throughput(servers, raw, streams, chosen.rounds)
        again(servers, chosen.rounds)
        gaps(servers, chosen.rounds)
        raw.close()


if __name__ == "__main__":
    main()
