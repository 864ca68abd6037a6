"""What the engine costs on top of MLX: tokens/s through its socket, and of mlx-lm's BatchGenerator itself.

    python -m benchmarks.engine_raw [--large] [--rounds 5] [--home FMLX_HOME]

Both sides run in one environment and get the same prompts (75 random tokens, 64 generated, greedy) on the same model,
in turns; the best round of each counts. Then: the worst gap in a running stream when a 2000-token prompt joins, and
the time to the newcomer's first token.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("FMLX_HOME") or "~/.fmlx").expanduser().absolute()
PROMPT, OUTPUT, STREAMS = 75, 64, (1, 8, 32)
LARGE = {"hidden_size": 768, "num_hidden_layers": 6, "intermediate_size": 2048, "num_attention_heads": 12}
Json = dict[str, Any]


def prompts(count: int, length: int = PROMPT, seed: int = 1) -> list[list[int]]:
    chosen = random.Random(seed)
    return [[chosen.randrange(300, 1000) for _ in range(length)] for _ in range(count)]


def runtime(home: Path) -> Path:
    """The Python of a home's worker environment. Exits with what to do when there is none."""
    python = home.absolute() / "runtimes" / "mlx-lm" / "bin" / "python"
    if not python.exists():
        sys.exit(f"{home} has no mlx-lm environment: run 'make setup', or name another home with --home.")
    return python


def environment() -> dict[str, str]:
    sys.path.insert(0, str(ROOT))
    from memory.allowlist import worker_environment  # noqa: PLC0415 - only on the site's side

    return worker_environment(Path(tempfile.gettempdir()), {}, {})


class Engine:
    def __init__(self, python: Path, model: Path, **spec: Any) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [str(python), "-m", "inference.engine.worker", "--fd", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment(),
                stderr=subprocess.DEVNULL,
            )
        self._socket, self._lines = ours, ours.makefile("rb")
        self.send("start", spec={"model_dir": str(model), "lease_bytes": 4 << 30, **spec})
        while self.read()["type"] != "ready":
            pass

    def send(self, type_: str, **fields: Any) -> None:
        self._socket.sendall(json.dumps({"type": type_, **fields}).encode() + b"\n")

    def read(self) -> Json:
        message: Json = json.loads(self._lines.readline())
        return message

    def ask(self, id_: str, prompt: list[int], tokens: int = OUTPUT) -> None:
        fields = {"kind": "completion", "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        self.send("request", id=id_, stream=True, **fields)

    def serve(self, asked: list[list[int]]) -> tuple[float, list[float]]:
        """Seconds for all, and to the first token of each."""
        began, first = time.perf_counter(), dict[str, float]()
        for at, prompt in enumerate(asked):
            self.ask(f"{began}-{at}", prompt)
        left = len(asked)
        while left:
            message = self.read()
            for delta in message.get("deltas", ()):
                first.setdefault(delta["id"], time.perf_counter() - began)
            left -= message.get("phase") == "finished"
            assert message.get("phase") not in ("failed", "refused"), message
        return time.perf_counter() - began, sorted(first.values())

    def gap(self) -> tuple[float, float, float]:
        """Milliseconds: the worst gap alone and when a long prompt joins, and the newcomer's first token."""
        self.ask("steady", prompts(1)[0], 2000)
        self._deltas("steady", 200)
        alone = self._deltas("steady", 200)
        sent = time.perf_counter()
        self.ask("long", prompts(1, 2000)[0], 8)
        joined = self._deltas("steady", 10**6, until="long")
        newcomer = time.perf_counter() - sent
        self.send("abort", id="steady")
        while self.read().get("phase") != "aborted":
            pass
        return 1000 * alone, 1000 * joined, 1000 * newcomer

    def _deltas(self, id_: str, count: int, until: str = "") -> float:
        """The worst gap between `count` deltas, or until another request's first."""
        last, worst = time.perf_counter(), 0.0
        while count:
            ids = [delta["id"] for delta in self.read().get("deltas", ())]
            if id_ in ids:
                now, count = time.perf_counter(), count - 1
                last, worst = now, max(worst, now - last)
            if until in ids:
                return worst
        return worst

    def close(self) -> None:
        self.send("stop")
        self.process.wait(30)


class Raw:
    """mlx-lm's BatchGenerator in a process of its own: one round for each line it is sent."""

    def __init__(self, python: Path, model: Path) -> None:
        self.process = subprocess.Popen(
            [str(python), __file__, "--raw", str(model)],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def round(self, streams: int, seed: int) -> float:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{streams} {seed}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        self.process.communicate()


def raw_side(model_dir: str) -> None:
    import importlib  # noqa: PLC0415 - in the runtime only

    model = importlib.import_module("mlx_lm").load(model_dir)[0]
    generate = importlib.import_module("mlx_lm.generate")
    for line in sys.stdin:
        streams, seed = map(int, line.split())
        began, tokens = time.perf_counter(), 0
        generator = generate.BatchGenerator(model)
        generator.insert(prompts(streams, seed=seed), max_tokens=[OUTPUT] * streams)
        while any(found := generator.next()):
            tokens += len(found[1])
        generator.close()
        print(tokens / (time.perf_counter() - began), flush=True)


def make(python: Path, folder: Path, kind: str = "chat", *, large: bool = False) -> None:
    code = "import json, sys; from pathlib import Path; from inference.engine import demo; "
    code += "demo.write(Path(sys.argv[1]), sys.argv[2], **json.loads(sys.argv[3]))"
    changes = json.dumps(LARGE if large else {})
    subprocess.run([str(python), "-c", code, str(folder), kind, changes], env=environment(), check=True)


def compare(python: Path, model: Path, rounds: int) -> None:
    engine, beside = Engine(python, model), Raw(python, model)
    for streams in STREAMS:
        engine.serve(prompts(streams, seed=99))
        beside.round(streams, 99)
    print(f"{'streams':>8}{'engine tok/s':>14}{'raw tok/s':>12}{'ratio':>8}{'TTFT p50 ms':>13}{'p95 ms':>9}")
    for streams in STREAMS:
        firsts: list[float] = []
        ours = theirs = 0.0
        for at in range(rounds):
            seconds, first = engine.serve(prompts(streams, seed=at))
            ours, firsts = max(ours, streams * OUTPUT / seconds), sorted(firsts + first)
            theirs = max(theirs, beside.round(streams, at))
        p50, p95 = 1000 * firsts[len(firsts) // 2], 1000 * firsts[int(len(firsts) * 0.95)]
        print(f"{streams:>8}{ours:>14.0f}{theirs:>12.0f}{ours / theirs:>8.2f}{p50:>13.1f}{p95:>9.1f}", flush=True)
    for _ in range(3):
        alone, joined, newcomer = engine.gap()
        print(
            f"worst gap {alone:.0f} ms alone, {joined:.0f} ms as 2000 tokens join; their first token {newcomer:.0f} ms"
        )
    engine.close()
    beside.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=HOME, help="whose worker environment is used")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="45 million parameters, where a step takes over 5 ms")
    parser.add_argument("--raw")
    chosen = parser.parse_args()
    if chosen.raw:
        raw_side(chosen.raw)
        return
    python = runtime(chosen.home)
    with tempfile.TemporaryDirectory() as folder:
        make(python, Path(folder), large=chosen.large)
        compare(python, Path(folder), chosen.rounds)


if __name__ == "__main__":
    main()
