"""What the prefix cache is worth, and what it costs: through the engine's socket, on the demo models.

    python -m benchmarks.prefix_cache [--rounds 9] [--lengths 1024,4096,16384] [--kinds chat,hybrid,swa]

Milliseconds to the first token of a prompt that was asked before, beside one that was not, in turns: from memory, and
from the SSD after `kill -9` of the engine that wrote it, with nothing in memory. Then a conversation of 20 turns, each
asked twice with another end, and what storing costs a cold prefill, in pairs of a prompt that is kept and one that is
not. `cpu` is processor time of the engine: it hardly depends on what else the machine does.
"""

import argparse
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine_raw import ROOT, Engine, Json, environment, prompts

STORED = 4096  # tokens of the prompts that storing is measured on
TURNS, SYSTEM, ASKED, ANSWERED = 20, 1500, 60, 48  # turns; words of the system prompt and a question; tokens
WORDS = ("the", "of", "a", "to", "Work", "License", "and", "You", "any", "or", "in", "that", "such")


@dataclass(frozen=True)
class Took:
    first: float  # ms to the first token
    prefill: float  # ms
    cpu: float  # ms of the engine's processor time
    cached: int
    prompt: int
    text: str


class Asker(Engine):
    asked = 0

    def __init__(self, python: Path, model: Path, cache: Path, **more: Any) -> None:
        super().__init__(python, model, cache={"folder": str(cache), "quota_bytes": 4 << 30, **more})

    def cpu(self) -> float:
        """Seconds."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def take(self, tokens: int = 2, **fields: Any) -> Took:
        self.asked += 1
        id_, cpu, began, first = f"asked-{self.asked}", self.cpu(), time.perf_counter(), 0.0
        text = ""
        defaults: Json = {"kind": "completion", "max_tokens": tokens, "temperature": 0, "stream": True}
        self.send("request", id=id_, **{**defaults, **fields})
        while True:
            message = self.read()
            for delta in message.get("deltas", ()):
                first, text = first or time.perf_counter() - began, text + delta["text"]
            if message.get("phase") == "finished":
                break
            assert message.get("phase") not in ("failed", "refused"), message
        usage, spent = message["usage"], self.cpu() - cpu
        prefill = message["timings"]["prefill"]
        return Took(1000 * first, 1000 * prefill, 1000 * spent, usage["cached_tokens"], usage["prompt_tokens"], text)

    def settle(self) -> None:
        """Until all is on disk."""
        while (message := self.read()).get("phase") != "status" or message["cache"]["ssd"]["queued"]:
            pass

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def hits(engine: Asker, asked: dict[int, list[int]], rounds: int) -> dict[int, list[Took]]:
    took: dict[int, list[Took]] = {length: [] for length in asked}
    for _ in range(rounds):
        for length, prompt in asked.items():
            took[length].append(engine.take(prompt=prompt, ignore_eos=True))
    return took


def median(took: list[Took], what: str) -> float:
    return statistics.median(getattr(one, what) for one in took)


def show_hits(label: str, took: dict[int, list[Took]], cold: dict[int, list[Took]]) -> None:
    for length, ones in took.items():
        whole = all(one.cached == length - 1 for one in ones)
        print(
            f"  {label:5} {length:6} tokens: first token {median(ones, 'first'):7.1f} ms, "
            f"cpu {median(ones, 'cpu'):6.1f}; cold {median(cold[length], 'first'):8.1f} ms, "
            f"cpu {median(cold[length], 'cpu'):8.1f}{'' if whole else '  NOT ALL HIT'}"
        )
    first, second = list(took)[:2]
    small, large = took[first], took[second]
    by_first, by_cpu = (median(large, what) / max(1e-9, median(small, what)) for what in ("first", "cpu"))
    print(f"  {label:5} {second} ÷ {first}: {by_first:.2f} by the clock, {by_cpu:.2f} by processor time (goal 1.5)")


def words(count: int, seed: int) -> str:
    chosen = random.Random(seed)
    return " ".join(chosen.choice(WORDS) for _ in range(count))


def conversation(engine: Asker) -> tuple[int, int]:
    """Tokens that were cached, and all."""
    said: list[Json] = [{"role": "system", "content": words(SYSTEM, 0)}]
    cached = total = 0
    for turn in range(TURNS):
        for fork in range(2):
            now = [*said, {"role": "user", "content": words(ASKED, 100 * turn + fork + 1)}]
            took = engine.take(ANSWERED, kind="chat", messages=now, ignore_eos=True)
            cached, total = cached + took.cached, total + took.prompt
        said = [*now, {"role": "assistant", "content": took.text}]
    return cached, total


def storing(engine: Asker, rounds: int) -> Iterator[tuple[float, float]]:
    """By the clock and by processor time, what a cold prefill takes with storing, over what it takes without."""
    for at in range(rounds):
        pair: dict[bool, Took] = {}
        for cache in (at % 2 == 0, at % 2 == 1):
            prompt = prompts(1, STORED, seed=1000 + at)[0]
            pair[cache] = engine.take(prompt=prompt, cache=cache, cache_salt=str(at), ignore_eos=True)
        yield pair[True].prefill / pair[False].prefill, pair[True].cpu / pair[False].cpu


def measure(python: Path, model: Path, cache: Path, lengths: list[int], rounds: int) -> None:
    print(f"{model.name} (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)")
    asked = {length: prompts(1, length, seed=length)[0] for length in lengths}
    engine = Asker(python, model, cache, hot_bytes=1 << 30)
    cold = {
        length: [engine.take(prompt=prompt, cache=False, ignore_eos=True) for _ in range(1 + (length < STORED))]
        for length, prompt in asked.items()
    }
    hits(engine, asked, 2)  # kept by the first, and the way of a hit warmed up by the second
    show_hits("hot", hits(engine, asked, rounds), cold)
    pairs = list(storing(engine, rounds))
    clock, cpu = (statistics.median(pair[at] for pair in pairs) for at in (0, 1))
    label = f"{len(pairs)} pairs of {STORED} tokens"
    print(f"  storing: {clock - 1:+.1%} by the clock, {cpu - 1:+.1%} by processor time (goal 3 %), {label}")
    cached, total = conversation(engine)
    print(f"  {TURNS} turns with two ends each: {cached:,} of {total:,} tokens hit, {cached / total:.1%} (goal 95 %)")
    engine.settle()
    engine.kill()
    again = Asker(python, model, cache, hot_bytes=0)
    again.take(prompt=prompts(1, 200)[0])
    show_hits("ssd", hits(again, asked, rounds), cold)
    again.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--lengths", default="1024,4096,16384")
    parser.add_argument("--kinds", default="chat,hybrid,swa")
    parser.add_argument("--runtimes", type=Path, default=Path(os.environ.get("FMLX_TEST_RUNTIMES") or ROOT / ".make"))
    chosen = parser.parse_args()
    python = chosen.runtimes.absolute() / "runtimes" / "mlx-lm" / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        for kind in chosen.kinds.split(","):
            model = Path(folder) / f"demo-{kind}"
            make = [str(python), "-m", "inference.engine.demo", str(model), "--kind", kind]
            subprocess.run(make, cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL)
            measure(python, model, Path(folder) / "cache", list(map(int, chosen.lengths.split(","))), chosen.rounds)


if __name__ == "__main__":
    main()
