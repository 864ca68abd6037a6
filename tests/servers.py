"""Real fmlx processes for tests: started on a free port in a home of their own, and ended before the test ends."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.early import ROOT, without_configuration
from tests.helpers import free_port, wait_for

MANAGE = (sys.executable, "manage.py")
SERVE = (*MANAGE, "serve")
STOP_SECONDS = 15.0
LOG_TAIL = 20_000
UNIT = "This is a unit test, and starts a server: mark it with pytest.mark.integration."
may_start = True  # set for each test


@dataclass(slots=True)
class Server:
    """A process that answers at `base_url`. `log` holds what it printed."""

    base_url: str
    home: Path
    process: subprocess.Popen[bytes]
    log: Path
    killed: bool = field(default=False, init=False)

    def kill(self) -> None:
        """End it at once, as a crash would; leaving the block then asks no more of it."""
        self.killed = True
        self.process.kill()
        self.process.wait()

    def output(self) -> str:
        return self.log.read_text(errors="replace")[-LOG_TAIL:]


def manage(*arguments: str, home: Path, env: Mapping[str, str] | None = None, timeout: float = 120) -> str:
    """Run a management command to its end in `home` and return what it printed on stdout.

    Raises:
        AssertionError: it ended with another status than 0.
    """
    assert may_start, UNIT
    done = subprocess.run(
        [*MANAGE, *arguments],
        cwd=ROOT,
        env=environment_of(home, env),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextlib.contextmanager
def running(
    command: Sequence[str] = SERVE,
    *,
    home: Path,
    env: Mapping[str, str] | None = None,
    port: int | None = None,
    ready_url: str = "/readyz",
    timeout: float = 60,
    exits: Collection[int] = (0,),
    answers: Callable[[], bool] | None = None,
) -> Iterator[Server]:
    """Start a process, wait until `ready_url` answers 200, and end it with SIGTERM when the block is left.

    `answers` is asked instead for a process that has no address of its own.

    The process finds its address in FMLX_HOST and FMLX_PORT, or as `{port}` in the command. The database is
    not made here: `manage("migrate", home=home)` does that.

    Raises:
        AssertionError: it was not ready within `timeout` seconds, ended by itself, or did not stop with one of `exits`.
    """
    assert may_start, UNIT
    port = port or free_port()
    log = home.parent / f"{home.name}-{port}-{time.monotonic_ns()}.log"
    words = [word.replace("{port}", str(port)) for word in command]
    environment = environment_of(home, {"FMLX_HOST": "127.0.0.1", "FMLX_PORT": str(port), **(env or {})})
    with log.open("wb") as out:
        process = subprocess.Popen(words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    server = Server(f"http://127.0.0.1:{port}", home, process, log)
    try:
        wait_for(
            lambda: _ready(server, ready_url, answers), timeout, f"{ready_url or 'readiness'} of {' '.join(words)}"
        )
        yield server
        if not server.killed:
            _stop(server, exits)
    except BaseException:
        print(f"--- {' '.join(words)} ---\n{server.output()}", file=sys.stderr)  # noqa: T201
        raise
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def environment_of(home: Path, env: Mapping[str, str] | None) -> dict[str, str]:
    return {**without_configuration(), "FMLX_HOME": str(home), "PYTHONUNBUFFERED": "1", **(env or {})}


def _ready(server: Server, url: str, answers: Callable[[], bool] | None) -> bool:
    assert server.process.poll() is None, f"It ended by itself with status {server.process.returncode}."
    if answers:
        return answers()
    try:
        return httpx.get(server.base_url + url, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _stop(server: Server, exits: Collection[int]) -> None:
    assert server.process.poll() is None, f"It ended by itself with status {server.process.returncode}."
    server.process.send_signal(signal.SIGTERM)
    try:
        status = server.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"It did not stop within {STOP_SECONDS:g} s of SIGTERM.") from None
    assert status in exits, f"It stopped with status {status}."
