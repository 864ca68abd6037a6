"""The real engine, in the real runtime, at the other end of a real socket."""

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memory import environments
from memory.allowlist import worker_environment
from tests.early import KEPT_HOME

DEADLINE = 90.0
ENDS = ("refused", "finished", "failed", "aborted")
FAMILIES = ("chat", "hybrid", "swa")
Json = dict[str, Any]


class Answer:
    """All that was said about one request."""

    def __init__(self, events: list[Json]) -> None:
        self.events = events
        self.end = events[-1]

    @property
    def phase(self) -> str:
        return str(self.end["phase"])

    @property
    def deltas(self) -> list[Json]:
        return [event for event in self.events if event["phase"] == "delta"]

    def text(self, index: int = 0) -> str:
        if "text" in self.end["choices"][index]:
            return str(self.end["choices"][index]["text"])
        return "".join(delta["text"] for delta in self.deltas if delta["index"] == index)

    def logprobs(self, index: int = 0) -> list[Json]:
        if "logprobs" in self.end["choices"][index]:
            return list(self.end["choices"][index]["logprobs"])
        return [one for delta in self.deltas if delta["index"] == index for one in delta.get("logprobs", [])]

    def ids(self, index: int = 0) -> list[int]:
        return [one["id"] for one in self.logprobs(index)]


class Engine:
    """A worker process and the node's end of its socket."""

    def __init__(
        self, python: Path, log: Path, model: Path, *, worker: str = "inference.engine.worker", **spec: Any
    ) -> None:
        ours, theirs = socket.socketpair()
        with theirs, log.open("w") as output:
            self.process = subprocess.Popen(
                [str(python), "-m", worker, "--fd", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=worker_environment(log.parent, {}, {}),
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.log, self.said = log, dict[str, list[Json]]()
        self.status: Json = {}
        self._asked = 0
        self._socket = ours
        self._socket.settimeout(DEADLINE)
        self._lines = ours.makefile("rb")
        self.send("start", spec={"model_dir": str(model), "lease_bytes": 1 << 30, **spec})

    def wait_until_ready(self) -> Json:
        message = self.until(lambda message: message["type"] in ("ready", "failed"))
        assert message["type"] == "ready", message
        return message

    def send(self, type_: str, **fields: Any) -> None:
        self.send_line(json.dumps({"type": type_, **fields}).encode())

    def send_line(self, line: bytes) -> None:
        self._socket.sendall(line + b"\n")

    def ask(self, **fields: Any) -> str:
        """Send a request: greedy, streamed, 8 tokens, unless told otherwise. Returns its id."""
        self._asked += 1
        id_ = f"request-{self._asked}"
        defaults = {"kind": "completion", "temperature": 0, "max_tokens": 8, "stream": True, "ignore_eos": True}
        self.send("request", id=id_, **{**defaults, **fields})
        return id_

    def read(self) -> Json:
        """The next message that is not a heartbeat, kept under the id of the request it is about."""
        while True:
            line = self._lines.readline()
            assert line, f"The engine ended first. {self.log.read_text()[-3000:]}"
            message: Json = json.loads(line)
            if message["type"] != "heartbeat":
                self._keep(message)
                return message

    def until(self, wanted: Callable[[Json], bool]) -> Json:
        while not wanted(message := self.read()):
            pass
        return message

    def until_said(self, id_: str, phase: str) -> Json:
        while not (found := [event for event in self.said.get(id_, []) if event["phase"] == phase]):
            self.read()
        return found[-1]

    def answer(self, id_: str) -> Answer:
        while not (events := self.said.get(id_)) or events[-1]["phase"] not in ENDS:
            self.read()
        return Answer(events)

    def complete(self, **fields: Any) -> Answer:
        return self.answer(self.ask(**fields))

    def next_status(self) -> Json:
        return self.until(lambda message: message.get("phase") == "status")

    def _keep(self, message: Json) -> None:
        for delta in message.get("deltas", ()):
            self.said.setdefault(delta["id"], []).append({"phase": "delta", **delta})
        if message["type"] == "event" and "id" in message:
            self.said.setdefault(message["id"], []).append(message)

    def hang_up(self) -> None:
        self._lines.close()
        self._socket.close()

    def close(self) -> None:
        self.hang_up()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)


@pytest.fixture(scope="session")
def runtime_python() -> Path:
    return environments.build(KEPT_HOME, "mlx-lm")


@pytest.fixture(scope="session")
def run_in_runtime(runtime_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run `python ARGUMENTS...` in the runtime; its standard output."""
    cwd = tmp_path_factory.mktemp("run")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            [str(runtime_python), *map(str, arguments)],
            env=worker_environment(cwd, {}, {}),
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def demo_models(run_in_runtime: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for kind in FAMILIES:
        run_in_runtime("-m", "inference.engine.demo", folder / f"demo-{kind}", "--kind", kind)
    return {kind: folder / f"demo-{kind}" for kind in FAMILIES}


@pytest.fixture(scope="session")
def engines(
    runtime_python: Path, demo_models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Engine]]:
    """One engine for each family and set of settings, shared by the tests that ask for it."""
    started: dict[tuple[Any, ...], Engine] = {}

    def engine(kind: str = "chat", **spec: Any) -> Engine:
        key = (kind, *sorted(spec.items()))
        if key not in started or started[key].process.poll() is not None:
            log = tmp_path_factory.mktemp("engine") / "engine.log"
            if folder := spec.pop("cache_in", None):  # the keys are hashed, and a spec's cache is an object
                spec["cache"] = {"folder": folder, "quota_bytes": 1 << 30}
            started[key] = Engine(runtime_python, log, demo_models[kind], **spec)
            started[key].wait_until_ready()
        return started[key]

    yield engine
    for one in started.values():
        one.close()


@pytest.fixture
def start_engine(runtime_python: Path, demo_models: dict[str, Path], tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """An engine of the test's own, not waited for."""
    started: list[Engine] = []

    def start(model: Path | None = None, **spec: Any) -> Engine:
        log = tmp_path / f"engine-{len(started)}.log"
        started.append(Engine(runtime_python, log, model or demo_models["chat"], **spec))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def engine(engines: Callable[..., Engine]) -> Engine:
    return engines("chat")
