"""The same seam as the launcher's, with the worker in a thread of this process: for work that needs no isolation
and for tests of what is on the node's side. It cannot be killed, only asked to stop, and its memory is the node's.
"""

import asyncio
import os
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from memory.connection import Connection
from memory.protocol import Channel, Work, serve
from memory.watch import Watch
from memory.workers import Worker, WorkerSpec, watch_for


class InProcess(Worker):
    def __init__(self, spec: WorkerSpec, connection: Connection, watch: Watch, far: socket.socket, work: Work) -> None:
        super().__init__(spec, connection, watch, os.getpid())
        self._far = far
        self._work = work
        self._status = 0
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._serve, name=f"worker-{spec.holder}", daemon=True).start()

    async def reap(self) -> tuple[int | None, int | None]:
        await self._ended.wait()
        await self.connection.close()
        self.gone.set()
        return self._status, None

    def log_to(self, path: Path) -> None:
        """What a thread prints is the node's own output."""

    async def end(self) -> None:
        """The work ends at its next checkpoint: a thread cannot be made to."""

    def _serve(self) -> None:
        channel = Channel(self._far, on_lost=lambda: None)
        self._status = serve(channel, self.spec.kind, self.spec.runtime, {}, self._work)
        self._loop.call_soon_threadsafe(self._ended.set)


class InProcessLauncher:
    """Takes the place of `launcher.spawn`: every worker does `work`."""

    def __init__(self, work: Work) -> None:
        self._work = work

    async def __call__(self, spec: WorkerSpec, *, lease: int, tolerance: int, mark: Mapping[str, str]) -> InProcess:
        near, far = socket.socketpair()
        connection = Connection(near, f"{spec.kind}-thread")
        watch = watch_for(spec, connection.pulse, lease=lease, tolerance=tolerance)
        return InProcess(spec, connection, watch, far, self._work)
