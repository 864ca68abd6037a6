"""A worker as the node and its callers see it, wherever it runs."""

import abc
import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from memory.connection import Connection
from memory.errors import LaunchFailed
from memory.protocol import Message
from memory.sentences import say
from memory.watch import Pulse, Verdict, Watch

log = structlog.get_logger(__name__)
HELLO_SECONDS = 30.0
STOP_SECONDS = 2.0  # for each of: the stop message, SIGTERM
TAIL_BYTES = 2000


@dataclass(frozen=True, kw_only=True)
class WorkerSpec:
    """What to run. `argv` gets `--fd N` added; `env` is added to the allow-list; times are in seconds."""

    kind: str
    holder: str
    runtime: str
    argv: Sequence[str]
    log: Path
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float | None = None
    stall_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """How a worker ended: its status or the signal that ended it, and the node's verdict if the node ended it."""

    status: int | None
    signal: int | None
    verdict: Verdict | None
    peak_bytes: int | None
    wall_seconds: float


class Worker(abc.ABC):
    """A running worker. Its lease is released when `wait` returns."""

    def __init__(self, spec: WorkerSpec, connection: Connection, watch: Watch, pid: int) -> None:
        self.spec, self.connection, self.watch, self.pid = spec, connection, watch, pid
        self.hello: Message = {}
        self.gone = asyncio.Event()
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._stop: asyncio.Task[None] | None = None

    @abc.abstractmethod
    async def reap(self) -> tuple[int | None, int | None]:
        """Wait until nothing of the worker is left; its exit status and signal. For the node alone."""

    @abc.abstractmethod
    async def end(self) -> None:
        """End it by force, at once or by steps; returns when asked, not when done."""

    @abc.abstractmethod
    def log_to(self, path: Path) -> None:
        """Keep what it prints there from now on. Blocks."""

    async def send(self, type_: str, **fields: Any) -> None:
        """Send one message. To a worker that is gone nothing is sent: `messages` and `wait` tell."""
        await self.connection.send(type_, **fields)

    def messages(self) -> AsyncIterator[Message]:
        """What the worker says, heartbeats left out, until it is gone. For one reader."""
        return self.connection.messages()

    async def stop(self, reason: str) -> None:
        """End the worker within 5 s: the `stop` message, then SIGTERM, then SIGKILL. Goes on if the caller leaves."""
        if self._stop is None:
            log.info("worker_stopping", kind=self.spec.kind, holder=self.spec.holder, pid=self.pid, reason=reason)
            self._stop = asyncio.ensure_future(self._stop_by_steps())
        await asyncio.shield(self._stop)

    async def wait(self) -> Exit:
        """Wait until every process of the worker is gone and its lease is released."""
        return await asyncio.shield(self._exit)

    async def greet(self) -> None:
        """Wait for its hello. Raises LaunchFailed with the end of its log."""
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                hello = await asyncio.shield(self.connection.hello)
        except TimeoutError:
            raise LaunchFailed(self._no_hello(f"did not say hello within {HELLO_SECONDS:.0f} s")) from None
        if hello is None:
            raise LaunchFailed(self._no_hello("ended before it said hello"))
        self.hello = hello

    def finish(self, status: int | None, signal: int | None) -> None:
        """Its lease is released: tell those who wait. For the node alone."""
        wall = time.monotonic() - self.watch.launched
        self._exit.set_result(Exit(status, signal, self.verdict, self.watch.peak, wall))

    async def _stop_by_steps(self) -> None:
        sending = asyncio.ensure_future(self.send("stop"))
        if not await self._gone_within(STOP_SECONDS):
            await self.end()
        await self.gone.wait()
        await sending

    async def _gone_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.gone.wait()
        except TimeoutError:
            return False
        return True

    @property
    def verdict(self) -> Verdict | None:
        """Why the node ended it, if it did."""
        fault = self.watch.pulse.fault
        return self.watch.verdict or (Verdict("worker_protocol_error", say("protocol", why=fault)) if fault else None)

    def _no_hello(self, what: str) -> str:
        verdict = self.verdict
        why = f": {verdict.message}" if verdict else "."
        return f"The {self.spec.kind} worker for {self.spec.holder} {what}{why} Its log ends: {tail(self.spec.log)}"


def watch_for(spec: WorkerSpec, pulse: Pulse, *, lease: int, tolerance: int) -> Watch:
    return Watch(
        kind=spec.kind,
        holder=spec.holder,
        lease=lease,
        tolerance=tolerance,
        pulse=pulse,
        timeout=spec.timeout_seconds,
        stall=spec.stall_seconds,
    )


def tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return file.read().decode(errors="replace").strip() or "(empty)"
    except OSError as error:
        return f"(not readable: {error})"
