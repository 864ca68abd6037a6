"""A model in memory: its engine's process, and the requests that are on it."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings

from inference.client import Answer, Event, ask, probe, tokens
from inference.errors import EngineLost, LoadFailed
from inference.models import ModelFolder
from inference.options import CACHE_BYTES, PATIENCE_SECONDS
from memory import Decisions, Exit, LaunchFailed, LocalNode, Worker, WorkerSpec, join, say
from memory.environments import runtime_python
from memory.models import Lease
from memory.options import ENGINE_MARGIN

log = structlog.get_logger(__name__)
KIND = "engine"
RUNTIME = "mlx-lm"
WORKERS = {"embedding": "inference.engine.encoder.worker", "rerank": "inference.engine.encoder.worker"}  # others chat
SILENCE_SECONDS = 10.0  # its contract (engine/messages.py): a status every second, from the thread that computes
OBEY_SECONDS = 3.0  # it answers a smaller lease with a status at once, or after the chunk it is at
PASSED_SECONDS = 10.0  # between writing down how many chunks the gate passed
LOAD_STALL_SECONDS = 300.0  # without a word while it loads: the largest shard of a slow disk


class Resident:
    """Made by `load`. `gone` is set when its process is, and its lease is back.

    `ending` is why it ends, once that is known, and `fault` whether it was its own doing.
    """

    def __init__(self, folder: ModelFolder, node: LocalNode, worker: Worker, lease: Lease) -> None:
        self.folder, self.lease = folder, lease
        self.facts: Event = {}
        self.gate: Event = {}
        self.status: Event = {}
        self.heard = time.monotonic()
        self.answers: dict[str, Answer] = {}
        self.gone = asyncio.Event()
        self.ending = ""
        self.fault = True
        self.shrunk = False  # its lease is less than it should work with
        self.sizing = asyncio.Lock()
        self._decisions = Decisions(node.row.pk, KIND, lease.holder, lease.pk)
        self._passed_told = time.monotonic()
        self.on_wanted: Callable[[int], Coroutine[Any, Any, None]] | None = None  # a lease of so many bytes
        self._said = asyncio.Event()  # a status
        self._node, self._worker = node, worker
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[Any]] = set()

    @classmethod
    async def load(
        cls,
        node: LocalNode,
        folder: ModelFolder,
        lease: Lease,
        progress: Callable[[int, int], None],
        *,
        limit: int | None,
        task: str = "",
    ) -> "Resident":
        """Start an engine on a folder and wait until it has answered its self-test; `limit` is of the context, `task`
        the type of model that it is served as.

        Raises:
            LoadFailed: with what the engine, or the node, said about it. The lease is released.
        """
        try:
            worker = await node.launch(_worker_spec(folder, task), lease)
        except LaunchFailed as failure:
            raise LoadFailed(failure.message) from None
        resident = cls(folder, node, worker, lease)
        resident._in_background(resident._read(progress))
        patience = PATIENCE_SECONDS.value
        cache = {"folder": str(settings.FMLX.cache), "quota_bytes": CACHE_BYTES.value}
        spec: Event = {"model_dir": folder.path, "lease_bytes": lease.bytes, "lease_grows": True}
        spec |= {"margin_bytes": ENGINE_MARGIN.value, "patience": patience}
        spec |= {"task": task} if task in WORKERS else {}
        spec |= {"cache": cache, **({"context_limit": limit} if limit else {})}
        await worker.send("start", spec=spec)
        try:
            await asyncio.shield(resident._ready)
        except asyncio.CancelledError:
            resident._in_background(resident.stop("its load was cancelled"))
            raise
        return resident

    def ask(self, request: Event) -> AbstractAsyncContextManager[Answer]:
        self._require_there()
        return ask(self, request)

    async def probe(self, request: Event) -> Event:
        self._require_there()
        return await probe(self, request)

    async def tokens(self, request: Event) -> Event:
        self._require_there()
        return await tokens(self, request)

    async def send(self, type_: str, **fields: Any) -> None:
        await self._worker.send(type_, **fields)

    def abort_soon(self, id_: str) -> None:
        self._in_background(self._worker.send("abort", id=id_))

    async def resize(self, size: int) -> None:
        """Raises NeverFits, NoRoom or LeaseClosed."""
        self.lease = await self._node.resize(self._worker, self.lease, size)

    async def shrink(self, size: int) -> None:
        """Have the engine give back what it keeps for reuse, then promise it less. What the system still counts as its
        own stays promised: a lease below the footprint would be its end. Raises LeaseClosed."""
        await self.send("lease", bytes=size)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OBEY_SECONDS):
                await self._obeys(size)
        await self.resize(max(size, min(self.lease.bytes, int(self.status.get("footprint_bytes") or 0))))

    async def _obeys(self, size: int) -> None:
        while True:
            self._said.clear()
            await self._said.wait()
            if self.status.get("lease_bytes", size) == size:
                return

    async def keep(self, *, pinned: bool) -> None:
        """Have it stay when others need memory, or not."""
        if self.lease.pinned != pinned:
            self.lease.pinned = pinned
            await self._node.write_down(self._node.ledger.pin, self.lease, pinned=pinned)

    async def stop(self, reason: str, *, fault: bool = False) -> None:
        """End the process; returns when its lease is back."""
        if not self.ending:
            self.ending, self.fault = reason, fault
        await self._worker.stop(reason)
        await self.gone.wait()

    def silent(self, now: float) -> bool:
        return bool(self.facts) and now - self.heard > SILENCE_SECONDS

    async def _read(self, progress: Callable[[int, int], None]) -> None:
        async for message in self._worker.messages():
            match message["type"]:
                case "event":
                    self._hear(message, progress)
                case "ready":
                    self._be_ready(message)
                case "failed":
                    self.ending = self.ending or str(message.get("message"))
                case "error":
                    log.error("An engine did not understand its node.", model=self.folder.name, said=message)
        self._lose_all(await self._worker.wait())

    def _hear(self, message: Event, progress: Callable[[int, int], None]) -> None:
        phase = message.get("phase")
        if phase == "deltas":
            for delta in message["deltas"]:
                if answer := self.answers.get(delta["id"]):
                    answer.push(delta)
        elif phase == "status":
            self.status, self.heard = message, time.monotonic()
            self._said.set()
            self._tell_passed(self.heard)
        elif phase == "gate":
            self._in_background(self._node.write_down(self._decisions.tell, message))
        elif phase == "lease" and self.on_wanted:
            self._in_background(self.on_wanted(int(message["wanted"])))
        elif phase == "loading":
            progress(int(message.get("step", 0)), int(message.get("total", 0)))
        elif answer := self.answers.get(message.get("id", "")):
            answer.push(message)

    def _tell_passed(self, now: float) -> None:
        if now - self._passed_told >= PASSED_SECONDS:
            self._passed_told = now
            passed = int(self.status.get("gate", {}).get("passed", 0))
            self._in_background(self._node.write_down(self._decisions.passed, passed))

    def _be_ready(self, message: Event) -> None:
        self.facts, self.gate, self.heard = message["model"], message.get("gate", {}), time.monotonic()
        if not self._ready.done():
            self._ready.set_result(None)

    def _lose_all(self, exit_: Exit) -> None:
        if exit_.verdict:
            self.ending = exit_.verdict.message
        self.ending = self.ending or _how(exit_)
        if not self._ready.done():
            self._ready.set_exception(LoadFailed(join(say("not_loaded", model=self.folder.name), self.ending)))
        lost = {"phase": "failed", "status": 503, "code": EngineLost.code, "message": self._last_words()}
        for answer in self.answers.values():
            answer.push(lost)
        self.gone.set()

    def _require_there(self) -> None:
        if self.ending or self.gone.is_set():
            raise EngineLost(self._last_words(), retry_after=1)

    def _last_words(self) -> str:
        why = (self.ending or "it is gone").rstrip(".")
        return f"The engine of {self.folder.name} ended: {why}. Send the request again."

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _worker_spec(folder: ModelFolder, task: str) -> WorkerSpec:
    fmlx = settings.FMLX
    place = Path("engines") / folder.name.replace("/", "--")
    return WorkerSpec(
        kind=KIND,
        holder=folder.name[:200],
        runtime=RUNTIME,
        argv=[str(runtime_python(fmlx.home, RUNTIME)), "-m", WORKERS.get(task, "inference.engine.worker")],
        log=fmlx.logs / f"{place}.log",
        cwd=fmlx.work / place,
        stall_seconds=LOAD_STALL_SECONDS,
    )


def _how(exit_: Exit) -> str:
    if exit_.signal is not None:
        return say("process_signal", signal=exit_.signal)
    return say("process_status", status=exit_.status)
