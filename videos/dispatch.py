"""Giving queued jobs to this node's workers, as memory allows."""

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.db.models import F
from django.utils import timezone

from fmlx_site.live import listening
from inference.models import ModelFolder
from memory import LocalNode, NeverFits, NoRoom, Priority, RoomPinned, Shortage, say
from memory.environments import runtime_python
from memory.errors import LeaseClosed
from videos import jobs, live, loras, options, settle, steps, storage
from videos.errors import FenceLost
from videos.generation import RUNTIME, Generation
from videos.generators import Generators, Place
from videos.models import VideoJob
from videos.predictor import predict

log = structlog.get_logger(__name__)
TICK_SECONDS = 0.5  # a deleted job's worker is told within this, if the wake-up was lost
LOOK_AHEAD = 50
NODE_SILENT_SECONDS = 30.0  # thirty missed heartbeats
Taken = tuple[VideoJob, Place, ModelFolder]


class Dispatcher:
    def __init__(self, node: LocalNode) -> None:
        self._node = node
        self._loop = asyncio.get_running_loop()
        self._running: dict[asyncio.Task[None], Generation] = {}
        self._generators = Generators(node)
        self._held: Place | None = None  # for a job that is being claimed

    async def run(self, begun: Callable[[], None] = lambda: None) -> None:
        """Work until cancelled; then stop the workers and put their jobs back in line.

        `begun` is called when what a dead node left is back in line.
        """
        await self._recover()
        begun()
        makers = {Priority.EVICT: self._generators.give_way, Priority.STOP: self._give_way}
        unregister = [self._node.register_room_maker(*maker) for maker in makers.items()]
        try:
            async with listening(live.NODES) as wakes:
                while True:
                    await self._whole_turn()
                    await wakes.next(TICK_SECONDS)
        finally:
            for take_off in unregister:
                take_off()
            await self._stop_all()
            await self._generators.end()

    async def _whole_turn(self) -> None:
        """A turn that is cancelled is finished first: a job it has just claimed would be in nobody's hands."""
        turn = asyncio.create_task(self._turn())
        try:
            await asyncio.shield(turn)
        except asyncio.CancelledError:
            await turn
            raise

    async def _turn(self) -> None:
        try:
            await sync_to_async(close_old_connections)()
            await self._release_unclaimed()
            self._generators.look()
            self._collect()
            await self._reconcile()
            await self._take_over_from_the_dead()
            while len(self._running) < options.WORKERS.value and (taken := await self._take()):
                self._start(*taken)
        except (DatabaseError, InterfaceError):
            log.exception("The queue could not be read; trying again.")

    async def _take(self) -> Taken | None:
        busy = {generation.job.pk for generation in self._running.values()}
        choosing = asyncio.ensure_future(sync_to_async(self._choose)(busy))
        try:
            taken, changed = await asyncio.shield(choosing)
        except asyncio.CancelledError:
            await self._put_back((await choosing)[0])
            raise
        for job in changed:
            await live.job_changed(job)
        if taken:
            await live.job_changed(taken[0])
        return taken

    async def _put_back(self, taken: Taken | None) -> None:
        """The node stops at the very moment it took a job: the next one finds it as it was."""
        if taken:
            job, place, _folder = taken
            await self._give_back(place)
            give_way = sync_to_async(settle.try_again_or_fail)
            await give_way(job, "server_stopping", say("stopped_before"), gave_way=True, transient=True)

    async def _give_back(self, place: Place) -> None:
        if place.generator:
            await self._generators.keep(place.generator)
        else:
            await self._node.release(place.lease)

    def _choose(self, busy: Collection[str] = ()) -> tuple[Taken | None, list[VideoJob]]:
        """The first job in line that fits. One that does not may be overtaken, but only so often.

        `busy` are jobs whose last worker is still ending here: what they have is being written down.
        """
        if not runtime_python(settings.FMLX.home, RUNTIME).exists():
            waiting = jobs.candidates(self._node.row.pk, LOOK_AHEAD)
            reason = say("runtime_not_built", runtime=RUNTIME)
            return None, [job for late in waiting for job in jobs.say_why(late, reason)]
        passed_over: list[VideoJob] = []
        changed: list[VideoJob] = []
        for job in jobs.candidates(self._node.row.pk, LOOK_AHEAD):
            if job.pk in busy:
                continue
            folder = ModelFolder.objects.get(node=self._node.row, name=job.model, type=ModelFolder.Type.VIDEO)
            try:
                place = self._held = self._place_for(folder, job)
            except RoomPinned as refusal:
                changed += self._beside_the_pinned(job, refusal)
                continue
            except NoRoom as refusal:
                changed += jobs.say_why(job, refusal.message)
                if job.overtaken >= options.OVERTAKES.value:
                    break
                passed_over.append(job)
                continue
            except NeverFits as refusal:
                changed.append(jobs.fail(job.pk, job.fence, refusal.code or "", refusal.message))
                continue
            if claimed := jobs.claim(job, self._node.row.pk):
                overtaken = VideoJob.objects.filter(pk__in=[late.pk for late in passed_over])
                overtaken.update(overtaken=F("overtaken") + 1)
                return (claimed, place, folder), changed
            self._let_go(place)  # somebody else was faster
            self._held = None
        return None, changed

    def _beside_the_pinned(self, job: VideoJob, refusal: RoomPinned) -> list[VideoJob]:
        """Waiting here would have no end; another node may have room."""
        others = ModelFolder.objects.filter(type=ModelFolder.Type.VIDEO).exclude(node=self._node.row)
        if others.filter(name=job.model).exists():
            return jobs.say_why(job, refusal.message)
        return [jobs.fail(job.pk, job.fence, refusal.code, refusal.message)]

    def _let_go(self, place: Place) -> None:
        if place.generator:
            asyncio.run_coroutine_threadsafe(self._generators.keep(place.generator), self._loop)
        else:
            self._node.ledger.release(place.lease)

    def _place_for(self, folder: ModelFolder, job: VideoJob) -> Place:
        """In a generator that stayed and holds the model, if its lease is large enough or can grow; else a new lease.

        Raises:
            NoRoom, RoomPinned, NeverFits
        """
        ledger, need = self._node.ledger, _need(folder, job)
        if generator := None if options.STAGED.value else self._generators.take(folder.path):
            try:
                generator.lease = ledger.resize(generator.lease, max(need, generator.lease.bytes), job.pk)
            except (NoRoom, NeverFits, LeaseClosed):
                self._loop.call_soon_threadsafe(self._generators.dismiss, generator, "a job needs a larger lease")
            else:
                return Place(generator.lease, generator)
        return Place(ledger.reserve("generator", job.pk, need, overtakes=options.OVERTAKES.value))

    async def _release_unclaimed(self) -> None:
        """The database went away between promise and claim."""
        if self._held:
            await self._give_back(self._held)
            self._held = None

    def _start(self, job: VideoJob, place: Place, folder: ModelFolder) -> None:
        self._held = None
        generation = Generation(self._node, self._generators, job, place, folder)
        self._running[asyncio.create_task(_see_through(generation), name=job.pk)] = generation

    def _collect(self) -> None:
        for task in [task for task in self._running if task.done()]:
            generation = self._running.pop(task)
            if error := task.exception():
                log.error("An attempt broke in the node itself.", job=generation.job.pk, exc_info=error)

    async def _reconcile(self) -> None:
        """Stop attempts whose job moved, and hand back jobs that this node holds without an attempt."""
        held = {job.pk: job async for job in jobs.held_by(self._node.row.pk)}
        for generation in self._running.values():
            job = held.pop(generation.job.pk, None)
            if job is None or job.fence != generation.fence:
                generation.stop("changed_hands")
        for job in held.values():
            await self._hand_back(job, "node_error", say("node_failed"))

    async def _recover(self) -> None:
        """This node is starting, so nothing of it runs: what it held goes back in line."""
        for job in [job async for job in jobs.held_by(self._node.row.pk)]:
            await self._hand_back(job, "server_restarted", say("restarted_while"))
        removed = await sync_to_async(storage.sweep)(self._node.row.name)
        log.info("Queue recovered.", folders_removed=removed)

    async def _take_over_from_the_dead(self) -> None:
        silent_since = timezone.now() - timedelta(seconds=NODE_SILENT_SECONDS)
        for job in [job async for job in jobs.held_by_the_dead(silent_since, asking=self._node.row.pk)]:
            await self._hand_back(job, "node_lost", say("node_silent"))

    async def _hand_back(self, job: VideoJob, code: str, message: str) -> None:
        try:
            moved = await sync_to_async(settle.try_again_or_fail)(job, code, message, gave_way=False, transient=True)
        except FenceLost:
            return  # it ended, or another node took it over, at the same moment
        await live.job_changed(moved)

    async def _give_way(self, shortage: Shortage) -> int:
        """Others took memory that was promised here: the youngest jobs stop, and wait in line until there is room."""
        coming = 0
        youngest_first = sorted(self._running.values(), key=lambda one: one.lease.created_at, reverse=True)
        for generation in youngest_first:
            if coming >= shortage.bytes:
                break
            generation.stop("memory_needed")
            coming += generation.lease.bytes
        return coming

    async def _stop_all(self) -> None:
        for generation in self._running.values():
            generation.stop("server_stopping")
        await asyncio.gather(*self._running, return_exceptions=True)


def _need(folder: ModelFolder, job: VideoJob) -> int:
    step = steps.left(job.pk)[0] if options.STAGED.value else ""
    return predict(folder, job.width, job.height, job.frames, step=step) + loras.bytes_of(job.loras)


async def _see_through(generation: Generation) -> None:
    try:
        await generation.run()
    finally:
        await live.wake_nodes()  # the place is free
