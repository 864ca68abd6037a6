"""The real worker, in the real runtime, at the other end of a real socket."""

import itertools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memory import environments
from tests.early import KEPT_HOME

ROOT = environments.ROOT
DEADLINE = 60.0
Json = dict[str, Any]


class Worker:
    """A worker process and the node's end of its socket."""

    def __init__(self, python: Path, log: Path) -> None:
        ours, theirs = socket.socketpair()
        with theirs, log.open("w") as output:
            self.process = subprocess.Popen(
                [str(python), "-m", "videos.runtimes.mlx_gen.worker", "--fd", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=worker_environment(),
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.log, self.messages = log, list[Json]()
        self._socket = ours
        self._socket.settimeout(DEADLINE)
        self._lines = ours.makefile("rb")

    def send(self, type_: str, **fields: Any) -> None:
        self._socket.sendall(json.dumps({"type": type_, **fields}).encode() + b"\n")

    def until(self, wanted: Callable[[Json], bool]) -> Json:
        """Read on to the first message that is wanted."""
        for line in self._lines:
            message: Json = json.loads(line)
            self.messages.append(message)
            if wanted(message):
                return message
        raise AssertionError(f"The worker ended first.\n{self.messages[-3:]}\n{self.log.read_text()[-3000:]}")

    def until_phase(self, phase: str, step: int = 0) -> Json:
        return self.until(lambda message: message.get("phase") == phase and message.get("step", 0) >= step)

    def outcome(self) -> Json:
        return self.until(lambda message: message["type"] in ("done", "failed"))

    def events(self) -> list[tuple[str, int, int]]:
        found = [message for message in self.messages if message["type"] == "event" and "total_steps" in message]
        return [(event["phase"], event["step"], event["total_steps"]) for event in found]

    def exited_within(self, seconds: float) -> float:
        """Wait for the process; returns how long it took."""
        start = time.monotonic()
        self.process.wait(seconds)
        return time.monotonic() - start

    def hang_up(self) -> None:
        self._lines.close()
        self._socket.close()

    def close(self) -> None:
        self.hang_up()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)


def worker_environment() -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("HOME", "PATH", "LANG", "TMPDIR") if key in os.environ}
    openblas = next(iter(sorted(Path("/usr/lib").glob("*/openblas-pthread/libopenblas.so.0"))), None)
    preload = {"LD_PRELOAD": str(openblas)} if openblas else {}
    return kept | preload | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="session")
def runtime_home() -> Path:
    environments.build(KEPT_HOME, "mlx-gen")
    return KEPT_HOME


@pytest.fixture(scope="session")
def runtime_python(runtime_home: Path) -> Path:
    return environments.runtime_python(runtime_home, "mlx-gen")


@pytest.fixture(scope="session")
def run_in_runtime(runtime_python: Path) -> Callable[..., str]:
    """Run `python ARGUMENTS...` in the runtime; its standard output."""

    def run(*arguments: str | Path) -> str:
        command = [str(runtime_python), *map(str, arguments)]
        done = subprocess.run(
            command, env=worker_environment(), capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def demo_model(run_in_runtime: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _demo(run_in_runtime, tmp_path_factory, "t2v")


@pytest.fixture(scope="session")
def demo_ti2v(run_in_runtime: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _demo(run_in_runtime, tmp_path_factory, "ti2v")


@pytest.fixture(scope="session")
def demo_i2v(run_in_runtime: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _demo(run_in_runtime, tmp_path_factory, "i2v")


def _demo(run: Callable[..., str], factory: pytest.TempPathFactory, kind: str) -> Path:
    folder = factory.mktemp("models") / f"demo-{kind}"
    run("-m", "videos.runtimes.mlx_gen.demo", folder, "--kind", kind)
    return folder


@pytest.fixture
def broken_model(demo_model: Path, tmp_path: Path) -> Path:
    """A copy of the demo model that a test may spoil."""
    return Path(shutil.copytree(demo_model, tmp_path / "broken"))


@pytest.fixture
def output_dir(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def artifacts_dir(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def spec(demo_model: Path, output_dir: Path, artifacts_dir: Path) -> Json:
    return {
        "model_dir": str(demo_model),
        "prompt": "a red cat runs over the sea",
        "negative_prompt": None,
        "width": 64,
        "height": 64,
        "frames": 17,
        "fps": 8,
        "steps": 4,
        "seed": 7,
        "guidance_scale": None,
        "guidance_scale_2": None,
        "flow_shift": None,
        "output_dir": str(output_dir),
        "artifacts_dir": str(artifacts_dir),
        "lease_bytes": 4 * 1024**3,
        "low_ram": True,
        "verify": True,
    }


@pytest.fixture
def start_worker(runtime_python: Path, tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    workers: list[Worker] = []

    def start() -> Worker:
        workers.append(Worker(runtime_python, tmp_path / f"worker-{len(workers)}.log"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


@pytest.fixture
def generate(start_worker: Callable[[], Worker], spec: Json, tmp_path: Path) -> Callable[..., Json]:
    """Run one worker to its end with the given changes to `spec`; its last message. It finds no artifacts of another
    unless it is told where they are."""
    runs = itertools.count()

    def run(**changes: Any) -> Json:
        worker = start_worker()
        own = {"artifacts_dir": str(tmp_path / f"own-{next(runs)}")}
        worker.send("start", spec=spec | own | changes)
        return worker.outcome()

    return run
