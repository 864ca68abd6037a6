"""What the site itself costs, beside FastAPI with the same uvicorn doing the same in the same run.

    python -m benchmarks.site_cost [--rounds 5] [--peer PYTHON]

CPU time of the server's process, less what it takes when nobody asks, for `GET /v1/models` and for a chat request that
is checked and then refused since there is no such model; for an event of 1, 32 and 200 streams; and how long the last
of 200 streams that start together waits for its first byte. The engine is `benchmarks/quick_engine.py`, a process that
computes nothing; everything else is what `manage.py serve` runs. What is compared is asked in turns, and the median
round counts. Without `--peer`, the Python of an environment that has FastAPI, one is made for this run.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil

from tests.early import ROOT, without_configuration
from tests.helpers import wait_for
from tests.servers import Server, manage, running

KEY = "benchmark"
EVENT = b"data: {"
MODELS = ("chat", "one", "two", "three")
REQUESTS, IDLE_SECONDS, TOGETHER = 400, 3.0, 200
STREAMS, FEW = {1: 1000, 32: 400, TOGETHER: 200}, 4  # and the events of each
MOST_RATIO, MOST_EVENT_US, MOST_FIRST_MS = 2.0, 12.0, 44.0
SAME = ("uvicorn", "uvloop", "httptools", "pydantic")  # of the same versions as the site's
CITY = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "weather", "description": "Of a city.", "parameters": CITY}}
SAID = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the weather in Paris? " * 20}]
ASKED: dict[str, object] = {
    "messages": [*SAID, {"role": "assistant", "content": "Sunny."}, {"role": "user", "content": "And in Rome?"}]
}
ASKED |= {"tools": [TOOL], "tool_choice": "auto", "temperature": 0.5, "top_p": 0.9, "stop": ["END"], "seed": 1}


@dataclass
class Site:
    name: str
    port: int
    process: psutil.Process
    idle: float = 0.0  # CPU seconds a second

    def busy(self) -> float:
        times = self.process.cpu_times()
        return times.user + times.system

    def rest(self) -> None:
        began, before = time.monotonic(), self.busy()
        time.sleep(IDLE_SECONDS)
        self.idle = (self.busy() - before) / (time.monotonic() - began)


@dataclass
class Meter:
    """Within the block: what the process took more than when it rests, in CPU seconds."""

    site: Site
    took: float = 0.0

    def __enter__(self) -> "Meter":
        self._began, self._before = time.monotonic(), self.site.busy()
        return self

    def __exit__(self, *_: object) -> None:
        self.took = self.site.busy() - self._before - self.site.idle * (time.monotonic() - self._began)


def request(method: str, path: str, fields: dict[str, object] | None = None) -> bytes:
    body = json.dumps(fields).encode() if fields else b""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length:")[2].split()[0])
    return int(head.split()[1]), await reader.readexactly(length)


async def ask_often(site: Site, wanted: bytes, status: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    for _ in range(REQUESTS):
        writer.write(wanted)
        found, body = await answer(reader)
        assert found == status, body
    writer.close()


async def stream_together(site: Site, streams: int, events: int) -> tuple[int, list[float]]:
    """How many events came in all, and ms to the first byte of each stream; the connections are there before."""
    there = [await asyncio.open_connection("127.0.0.1", site.port) for _ in range(streams)]
    wanted = request("POST", "/v1/chat/completions", {**ASKED, "model": "chat", "stream": True} | most(events))
    began = time.perf_counter()
    for _, writer in there:
        writer.write(wanted)
    found = await asyncio.gather(*(read_stream(reader, began) for reader, _ in there))
    for _, writer in there:
        writer.close()
    return sum(count for count, _ in found), [first for _, first in found]


def most(events: int) -> dict[str, object]:
    return {"max_completion_tokens": events}


async def read_stream(reader: asyncio.StreamReader, began: float) -> tuple[int, float]:
    data = await reader.read(2**16)
    first, count, tail = 1000 * (time.perf_counter() - began), 0, b""
    while data:
        seen = tail + data
        count += seen.count(EVENT)
        if b"[DONE]" in seen:
            return count, first
        tail = seen[1 - len(EVENT) :]
        data = await reader.read(2**16)
    raise AssertionError("The stream broke.")


def compare(sites: list[Site], label: str, wanted: bytes, status: int, rounds: int) -> bool:
    costs: dict[str, list[float]] = {site.name: [] for site in sites}
    for at in range(rounds + 1):
        for site in sites:
            with Meter(site) as meter:
                asyncio.run(ask_often(site, wanted, status))
            if at:
                costs[site.name].append(1e6 * meter.took / REQUESTS)
    ours, theirs = (statistics.median(costs[site.name]) for site in sites)
    print(
        f"{label:34}{ours:>9.0f}{theirs:>9.0f} µs{ours / theirs:>9.2f}  {verdict(ours / theirs, MOST_RATIO)}",
        flush=True,
    )
    return ours / theirs <= MOST_RATIO


def events_cost(sites: list[Site], rounds: int) -> bool:
    """Of an event alone: streams of many events, less as many streams of a few."""
    good = True
    for streams, events in STREAMS.items():
        costs: dict[str, list[float]] = {site.name: [] for site in sites}
        for at in range(rounds + 1):
            for site in sites:
                short, long = (streamed(site, streams, count) for count in (FEW, FEW + events))
                if at:
                    costs[site.name].append(1e6 * (long[1] - short[1]) / (long[0] - short[0]))
        ours, theirs = (statistics.median(costs[site.name]) for site in sites)
        label = f"an event of {streams} stream{'s' * (streams > 1)}"
        goal = MOST_EVENT_US if streams > 1 else None
        print(f"{label:34}{ours:>9.1f}{theirs:>9.1f} µs{ours / theirs:>9.2f}  {verdict(ours, goal)}", flush=True)
        good = good and (goal is None or ours <= goal)
    return good


def streamed(site: Site, streams: int, events: int) -> tuple[int, float]:
    """Events that came, and CPU seconds."""
    with Meter(site) as meter:
        count, _ = asyncio.run(stream_together(site, streams, events))
    return count, meter.took


def first_bytes(sites: list[Site], rounds: int) -> bool:
    firsts: dict[str, list[float]] = {site.name: [] for site in sites}
    for at in range(rounds + 1):
        for site in sites:
            _, found = asyncio.run(stream_together(site, TOGETHER, 4))
            if at:
                firsts[site.name].append(max(found))
    ours, theirs = (min(firsts[site.name]) for site in sites)
    label = f"{TOGETHER} together, last first byte"
    print(f"{label:34}{ours:>9.1f}{theirs:>9.1f} ms{ours / theirs:>9.2f}  {verdict(ours, MOST_FIRST_MS)}")
    return ours <= MOST_FIRST_MS


def verdict(found: float, goal: float | None) -> str:
    return "" if goal is None else f"{'within' if found <= goal else 'ABOVE'} {goal:g}"


@contextmanager
def ours(home: Path) -> Iterator[Site]:
    python = home / "runtimes" / "mlx-lm" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -m benchmarks.quick_engine "${{3}}" "${{4}}"\n')
    python.chmod(0o700)
    for name in MODELS:
        write_model(home / "models" / name)
    manage("migrate", "-v0", home=home)
    manage("firststart", home=home, env={"FMLX_API_KEY": KEY})
    with running(home=home) as server:
        wait_for(lambda: len(listed(server)) == len(MODELS), 60, "the models being found")
        site = site_of("fmlx", server)
        wait_for(lambda: asyncio.run(stream_together(site, 1, 2))[0], 60, "an answer")
        yield site


def listed(server: Server) -> list[object]:
    headers = {"Authorization": f"Bearer {KEY}"}
    found: list[object] = httpx.get(f"{server.base_url}/v1/models", headers=headers, trust_env=False).json()["data"]
    return found


def write_model(folder: Path) -> None:
    """What discovery takes for a chat model; nothing reads its weights."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))


@contextmanager
def plain(python: Path, folder: Path) -> Iterator[Site]:
    """uvicorn with the options of `fmlx_site/serving.py`."""
    command = [str(python), "-m", "uvicorn", "benchmarks.plain_site:app", "--host", "127.0.0.1", "--port", "{port}"]
    command += ["--no-access-log", "--no-server-header", "--lifespan", "off", "--log-level", "warning"]
    env = {"BENCHMARK_KEY": KEY, "BENCHMARK_MODELS": ",".join(MODELS)}
    with running(command, home=folder, env=env, ready_url="/openapi.json", exits=(0, -15)) as server:
        yield site_of("fastapi", server)


def site_of(name: str, server: Server) -> Site:
    site = Site(name, int(server.base_url.rpartition(":")[2]), psutil.Process(server.process.pid))
    site.rest()
    return site


def make_peer(folder: Path) -> Path:
    wanted = ["fastapi", *(f"{name}=={version(name)}" for name in SAME)]
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    subprocess.run(install, check=True, cwd=ROOT, env=without_configuration())
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", type=Path, help="the Python of an environment with FastAPI and uvicorn")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        (there := Path(folder) / "peer").mkdir()
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        python = chosen.peer.absolute() if chosen.peer else make_peer(Path(folder) / "venv")
        sites = [stack.enter_context(ours(home)), stack.enter_context(plain(python, there))]
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(f"{'CPU':34}{'fmlx':>9}{'FastAPI':>9}{'ratio':>12}")
        good = [
            compare(sites, "GET /v1/models", request("GET", "/v1/models"), 200, chosen.rounds),
            compare(sites, "a chat request checked", unknown_model(), 404, chosen.rounds),
            events_cost(sites, chosen.rounds),
            first_bytes(sites, chosen.rounds),
        ]
    sys.exit(not all(good))


def unknown_model() -> bytes:
    return request("POST", "/v1/chat/completions", {**ASKED, "model": "nobody"})


if __name__ == "__main__":
    main()
