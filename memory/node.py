"""The process that owns one machine's accelerator memory: leases, workers, sampler, heartbeat."""

import asyncio
import contextlib
import contextvars
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol, Self

import structlog
from channels.db import database_sync_to_async as in_database
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from fmlx_site.live import announce
from memory import live, timeline
from memory.books import Books
from memory.device import Device, read_device
from memory.errors import LaunchFailed, NoRoom
from memory.gpu import GpuReader
from memory.identity import take_name
from memory.launcher import spawn
from memory.ledger import Ledger
from memory.lock import hold_lock
from memory.models import Lease, Node
from memory.options import say_resolved, tolerance_of
from memory.orphans import LEASE_VARIABLE, end_orphans
from memory.processes import ProcessGroup
from memory.relief import Relief
from memory.room import MakeRoom, Priority, RoomMakers, Shortage
from memory.sampler import Sampler
from memory.workers import Worker, WorkerSpec

log = structlog.get_logger(__name__)
BOOKS_SECONDS = 1.0
RETRY_SECONDS = 1.0
EXPECTED_WITHIN = timedelta(seconds=2)
CLOSE_SECONDS = 8.0  # a worker is gone within 5 s, and its lease is released after that


class Launcher(Protocol):
    """Starts workers: `launcher.spawn` as processes of this machine, `inprocess.InProcessLauncher` as threads."""

    async def __call__(self, spec: WorkerSpec, *, lease: int, tolerance: int, mark: Mapping[str, str]) -> Worker: ...


class LocalNode:
    """Made by `open`. Leases are reserved through `ledger`; `launch` turns one into a worker."""

    def __init__(self, row: Node, launcher: Launcher) -> None:
        self.row = row
        self.ledger = Ledger(row.pk, on_no_room=self._no_room)
        self.sampler = Sampler()
        self.workers: set[Worker] = set()
        self._launcher = launcher
        self._mark = worker_mark(row.name)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()  # not that of the database's thread, which may not ask itself
        self._makers = RoomMakers()
        self._relief = Relief(self._makers, self.note)
        self._making_room: asyncio.Task[int] | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, launcher: Launcher = spawn) -> AsyncIterator[Self]:
        """Be this node until the block ends; then its workers are stopped.

        Workers that a dead node of this name left are ended first, and their leases released.

        Raises:
            NodeRunning: another process is this node, here or on another machine that shares the database.
        """
        with hold_lock(settings.FMLX.run / f"{name}.lock", name):
            node = cls(await in_database(take_name)(name), launcher)
            device = await asyncio.to_thread(read_device)
            node.sampler.gpu = GpuReader() if device and device.kind == "cuda" else None
            books = await in_database(node._recover)(device)
            node.sampler.start()
            keeping = asyncio.create_task(node._keep_books(books))
            log.info("node_started", name=name, pid=os.getpid(), **node.row.ceiling_terms)
            say_resolved(log)
            try:
                yield node
            finally:
                await node._close(keeping)

    def register_room_maker(self, priority: Priority, make_room: MakeRoom) -> Callable[[], None]:
        """Have `make_room` asked for memory back: when a worker has to wait for some (`SHRINK` and `EVICT`), and when
        more is promised than there is (all). Returns what takes it off the list again.
        """
        return self._makers.register(priority, make_room)

    async def make_room(self, shortage: Shortage) -> int:
        """Ask those who hold memory idly to give it back; returns the bytes of leases that are on their way."""
        return await self._makers.make_room(shortage, Priority.EVICT)

    async def note(self, what: timeline.What, **fields: Any) -> None:
        """Put a fact on this node's timeline (`timeline.record`). A database that is away costs the entry, no more."""
        await self.write_down(timeline.record, self.row.pk, what, **fields)

    async def write_down(self, write: Callable[..., Any], *args: Any, **fields: Any) -> None:
        """Do a write that is for those who look on: a database that is away costs the entry, no more."""
        try:
            await in_database(write)(*args, **fields)
        except DatabaseError:
            log.exception("event_not_written", what=args, **fields)

    async def reserve(self, kind: str, holder: str, size: int, **how: Any) -> Lease:
        """`Ledger.reserve`. If the caller is cancelled meanwhile, the promise is taken back."""
        return await self._reserving(self.ledger.reserve, kind, holder, size, **how)

    async def try_reserve(self, kind: str, holder: str, size: int, **how: Any) -> Lease:
        """`Ledger.try_reserve`. If the caller is cancelled meanwhile, the promise is taken back."""
        return await self._reserving(self.ledger.try_reserve, kind, holder, size, **how)

    async def expect_end(self, lease: Lease, seconds: float) -> None:
        """Its holder expects to be done so soon; written down when that moved."""
        at = timezone.now() + timedelta(seconds=seconds)
        if lease.ends_at is None or abs(lease.ends_at - at) > EXPECTED_WITHIN:
            lease.ends_at = at
            await self.write_down(self.ledger.expect_end, lease, at)

    async def _reserving(self, reserve: Callable[..., Lease], *args: Any, **how: Any) -> Lease:
        reserving = self._in_background(in_database(reserve)(*args, **how))
        try:
            return await asyncio.shield(reserving)
        except asyncio.CancelledError:
            self._in_background(self._give_back(reserving))
            raise

    async def release(self, lease: Lease) -> None:
        """Take back a lease that was never launched. Tried until the database takes it."""
        while True:
            try:
                return await in_database(self.ledger.release)(lease)
            except Exception:
                log.exception("lease_release_failed", lease=lease.pk, message="It is tried again.")
            await asyncio.sleep(RETRY_SECONDS)

    async def launch(self, spec: WorkerSpec, lease: Lease) -> Worker:
        """Start a worker under a reserved lease, which the node releases when the worker's last process is gone.

        Raises:
            LaunchFailed: it did not start or did not say hello. The lease is released.
        """
        launching = self._in_background(self._launch(spec, lease))
        try:
            return await asyncio.shield(launching)
        except asyncio.CancelledError:
            self._in_background(self._abandon(launching))
            raise

    async def resize(self, worker: Worker, lease: Lease, size: int) -> Lease:
        """Change a running worker's lease, and tell it. Raises NeverFits, NoRoom, or LeaseClosed."""
        lease = await in_database(self.ledger.resize)(lease, size)
        worker.watch.lease, worker.watch.tolerance = size, tolerance_of(size)
        await worker.send("lease", bytes=size)
        return lease

    async def hand_over(self, worker: Worker, lease: Lease, spec: WorkerSpec | None = None) -> None:
        """A running worker begins something else, or nothing: `lease` is as `ledger.resize` gave it. Its log and the
        limits of its time and of a rest are those of `spec` from now on; without one there are no limits.
        """
        limits = (spec.timeout_seconds, spec.stall_seconds) if spec else (None, None)
        worker.watch.anew(lease.holder, *limits)
        worker.watch.lease, worker.watch.tolerance = lease.bytes, tolerance_of(lease.bytes)
        if spec:
            await asyncio.to_thread(worker.log_to, spec.log)
        await worker.send("lease", bytes=lease.bytes)

    async def _launch(self, spec: WorkerSpec, lease: Lease) -> Worker:
        mark = {**self._mark, LEASE_VARIABLE: str(lease.pk)}
        try:
            worker = await self._launcher(spec, lease=lease.bytes, tolerance=tolerance_of(lease.bytes), mark=mark)
        except BaseException:
            await self.release(lease)
            raise
        self.workers.add(worker)
        self._in_background(self._keep(worker, lease)).add_done_callback(_log_failure)
        try:
            if self._closing.is_set():
                raise LaunchFailed("The node is closing and starts no more workers.")
            await self._bind(worker, lease)
            await worker.greet()
        except BaseException as error:
            await worker.stop(f"its launch failed: {error}")
            await worker.wait()
            raise
        return worker

    async def _bind(self, worker: Worker, lease: Lease) -> None:
        worker.watch.lease_id = lease.pk
        group = worker.watch.group or ProcessGroup.of(worker.pid)
        await in_database(self.ledger.bind)(lease, worker.pid, group.started if group else 0.0)
        await asyncio.to_thread(self.sampler.watch, worker.watch)
        if worker.gone.is_set():  # it was too quick, and may have been taken off the watch before it was on it
            await asyncio.to_thread(self.sampler.unwatch, worker.watch)

    async def _keep(self, worker: Worker, lease: Lease) -> None:
        """Stay with a worker to its end, and only then release its lease."""
        status, signal = await worker.reap()
        await asyncio.to_thread(self.sampler.unwatch, worker.watch)
        await self._note_end(worker, lease)
        await self.release(lease)
        self.workers.discard(worker)
        worker.finish(status, signal)

    async def _note_end(self, worker: Worker, lease: Lease) -> None:
        """If it was the node that ended it, the verdict's own sentence and figures are kept."""
        watch, verdict = worker.watch, worker.verdict
        if verdict is None:
            return
        figures = {"code": verdict.code, "lease": watch.lease, "tolerance": watch.tolerance, "peak": watch.peak}
        who = {"kind": watch.kind, "holder": watch.holder, "lease": lease.pk}
        await self.note(timeline.What.KILLED, **who, bytes=watch.footprint, message=verdict.message, figures=figures)

    async def _give_back(self, reserving: asyncio.Task[Lease]) -> None:
        await asyncio.wait({reserving})
        if not reserving.cancelled() and reserving.exception() is None:
            await self.release(reserving.result())

    async def _abandon(self, launching: asyncio.Task[Worker]) -> None:
        """Nobody waits for this worker any more."""
        await asyncio.wait({launching})
        if not launching.cancelled() and launching.exception() is None:
            await launching.result().stop("its launch was cancelled")

    def _no_room(self, kind: str, holder: str, refusal: NoRoom) -> None:
        """From any thread."""
        shortage = Shortage(refusal.missing, kind, holder)
        self._loop.call_soon_threadsafe(self._ask_for_room, shortage, context=self._context)

    def _ask_for_room(self, shortage: Shortage) -> None:
        """One round at a time: who still waits after it is refused again, and asks again."""
        if not self._closing.is_set() and (self._making_room is None or self._making_room.done()):
            self._making_room = self._in_background(self._makers.make_room(shortage, Priority.EVICT))

    async def _keep_books(self, books: Books) -> None:
        """Until the node closes; a write that has begun is finished, since its thread cannot be cancelled."""
        while not self._closing.is_set():
            try:
                self._in_background(self._relief.look(await in_database(books.write)()))
                self._hold_to_tolerance()
                await announce(live.GROUP, "memory.tick", tick=books.tick)
            except Exception:
                log.exception("books_not_written", message="It is tried again in a second.")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BOOKS_SECONDS):
                    await self._closing.wait()

    def _hold_to_tolerance(self) -> None:
        """As it is set now, also for workers that were started before."""
        for worker in self.workers:
            worker.watch.tolerance = tolerance_of(worker.watch.lease)

    async def _close(self, keeping: asyncio.Task[None]) -> None:
        self._closing.set()
        stops = [asyncio.ensure_future(worker.stop("the node is closing")) for worker in self.workers]
        await asyncio.wait({*stops, *self._tasks, keeping}, timeout=CLOSE_SECONDS)
        left = [*self._tasks, *stops, keeping]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await asyncio.to_thread(self.sampler.stop)

    def _recover(self, device: Device | None) -> Books:
        """What a dead node left: end its workers, release their leases, and say how much may be promised now."""
        leases = list(Lease.objects.filter(node=self.row))
        stuck = end_orphans(leases, self._mark)
        for lease in leases:
            if lease.pid not in stuck:
                self.ledger.release(lease)
        books = Books(self.row, self.ledger, self.sampler, device)
        books.write()
        self.row.refresh_from_db()
        return books

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _log_failure(keeping: asyncio.Task[None]) -> None:
    if not keeping.cancelled() and (error := keeping.exception()):
        log.error("worker_not_kept", message="A worker was left to itself and its lease stays.", exc_info=error)


def worker_mark(name: str) -> dict[str, str]:
    """What the environment of each of a node's workers says."""
    return {"FMLX_NODE": name, "FMLX_HOME": str(settings.FMLX.home)}
