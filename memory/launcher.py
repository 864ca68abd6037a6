"""Start a worker as a process of its own on this machine."""

import asyncio
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

from memory.allowlist import worker_environment
from memory.connection import Connection
from memory.errors import LaunchFailed
from memory.processes import ProcessGroup
from memory.watch import Watch
from memory.worker_log import WorkerLog
from memory.workers import STOP_SECONDS, Worker, WorkerSpec, watch_for

LINGER_SECONDS = 5.0  # from closing its socket to the end of its process
CLEARING_SECONDS = 0.05


class Subprocess(Worker):
    """A worker that leads a session of its own on this machine."""

    def __init__(
        self,
        spec: WorkerSpec,
        connection: Connection,
        watch: Watch,
        process: asyncio.subprocess.Process,
        log: WorkerLog,
    ) -> None:
        super().__init__(spec, connection, watch, process.pid)
        self.group = watch.group = ProcessGroup.of(process.pid) or ProcessGroup(process.pid, 0.0)
        self._process, self._log = process, log

    async def reap(self) -> tuple[int | None, int | None]:
        exited = asyncio.ensure_future(self._process.wait())
        closed = asyncio.ensure_future(self.connection.closed())
        await asyncio.wait({exited, closed}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({exited}, timeout=LINGER_SECONDS)
        if not exited.done():
            await self.end()
        code = await exited
        await self._clear()
        await asyncio.to_thread(self._log.finish)
        await self.connection.close()
        await closed
        self.gone.set()
        return (code, None) if code >= 0 else (None, -code)

    def log_to(self, path: Path) -> None:
        self._log.go_on_in(path)

    async def end(self) -> None:
        self.group.signal(signal.SIGTERM)
        if not await self._gone_within(STOP_SECONDS):
            self.group.signal(signal.SIGKILL)

    async def _clear(self) -> None:
        """The leader is dead, and what it left has nobody to work for."""
        while self.group.members():
            self.group.signal(signal.SIGKILL)
            await asyncio.sleep(CLEARING_SECONDS)


async def spawn(spec: WorkerSpec, *, lease: int, tolerance: int, mark: Mapping[str, str]) -> Subprocess:
    """Start the process and connect to it; `lease` and `tolerance` are bytes. Raises LaunchFailed."""
    near, far = socket.socketpair()
    try:
        process, log = await _start(spec, far, mark)
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
        near.close()
        raise LaunchFailed(f"The {spec.kind} worker for {spec.holder} could not be started: {error}.") from error
    except BaseException:
        near.close()
        raise
    finally:
        far.close()
    connection = Connection(near, f"{spec.kind}-{process.pid}")
    watch = watch_for(spec, connection.pulse, lease=lease, tolerance=tolerance)
    return Subprocess(spec, connection, watch, process, log)


async def _start(
    spec: WorkerSpec, far: socket.socket, mark: Mapping[str, str]
) -> tuple[asyncio.subprocess.Process, WorkerLog]:
    log = await asyncio.to_thread(_open_log, spec)
    try:
        process = await asyncio.create_subprocess_exec(
            *spec.argv,
            "--fd",
            str(far.fileno()),
            pass_fds=(far.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=log.entry,
            stderr=log.entry,
            cwd=spec.cwd,
            env=await asyncio.to_thread(worker_environment, spec.cwd, spec.env, mark),
            start_new_session=True,
        )
    finally:
        log.close_entry()
    return process, log


def _open_log(spec: WorkerSpec) -> WorkerLog:
    spec.cwd.mkdir(mode=0o700, parents=True, exist_ok=True)
    return WorkerLog.open(spec.log)
