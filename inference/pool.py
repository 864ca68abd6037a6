"""The engines of this node: which model is in memory, who waits for one, who must go."""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from fmlx_site.errors import FmlxError
from fmlx_site.live import announce
from inference.catalog import Catalog, Served
from inference.client import Engine, Event
from inference.entry import Entry
from inference.errors import EngineLost, LoadFailed, NodeUnreachable
from inference.landlord import Landlord
from inference.models import ModelFolder
from inference.remote import RemotePool, reach
from inference.resident import Resident
from memory import LocalNode, join, say
from memory.models import Lease

log = structlog.get_logger(__name__)
ENGINES = "engines"  # the group that hears about them
TELL_SECONDS = 0.1


class Pool:
    """Lives on the node's event loop."""

    def __init__(self, node: LocalNode) -> None:
        self.node = node
        self.entries: dict[str, Entry] = {}
        self._landlord = Landlord(node, self.entries)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._told: dict[str, float] = {}

    @asynccontextmanager
    async def engine_for(self, model: Served) -> AsyncIterator[Engine]:
        """The engine of a model, loaded if need be. It is not evicted while the block runs.

        Raises:
            LoadFailed, NoRoomForModel, ModelsPinned, NeverFits
        """
        entry = self._entry(model)
        entry.users += 1
        try:
            yield await self._resident(entry, model)
        finally:
            entry.users -= 1
            entry.used_at = time.monotonic()

    async def load(self, model: Served) -> None:
        """Have a model in memory. Raises as `engine_for`, but does not wait for an earlier failure to be forgotten."""
        self._entry(model).backoff.forget()
        async with self.engine_for(model):
            return

    async def unload(self, name: str, reason: str, *, fault: bool = False) -> bool:
        """End a model's engine, and the requests on it; returns when its memory is back. False if it was not loaded.

        With `fault` it is the engine's own, and counts as a crash.
        """
        entry = self.entries.get(name)
        if entry is None or entry.resident is None:
            return False
        await entry.resident.stop(reason, fault=fault)
        return True

    async def cancel(self, call_id: str, holder: str | None) -> bool:
        """End what one call asked of the engines here, if `holder` asked it; None: whoever did. False: nothing is."""
        residents = [entry.resident for entry in self.entries.values() if entry.resident]
        answers = [answer for resident in residents for answer in resident.answers.values()]
        its = [one for one in answers if one.id.rpartition("-")[0] == call_id and holder in (None, one.holder)]
        for answer in its:
            answer.cancel()
        return bool(its)

    def is_there(self, name: str) -> bool:
        """Loaded, or on its way."""
        entry = self.entries.get(name)
        return entry is not None and (entry.resident is not None or entry.loading is not None)

    async def states(self) -> dict[str, Event]:
        return {name: entry.state() for name, entry in self.entries.items()}

    async def give_back(self, entry: Entry) -> None:
        """Have an unused engine's lease as small as when it was loaded."""
        if entry.idle and entry.resident:
            await self._landlord.give_back(entry.resident)

    def close(self) -> None:
        """The node is closing, and ends the engines itself."""
        for task in self._tasks:
            task.cancel()

    def _entry(self, model: Served) -> Entry:
        entry = self.entries.setdefault(model.name, Entry(model.name, model.settings))
        entry.settings = model.settings
        return entry

    async def _resident(self, entry: Entry, model: Served) -> Resident:
        while True:
            if (there := entry.resident) and not there.ending:
                if there.shrunk or there.sizing.locked():
                    await self._landlord.regrow(there)
                if not there.ending:
                    return there
            if entry.resident:
                await entry.resident.gone.wait()
                await asyncio.sleep(0)  # let `_stay_with` see it first
                continue
            if entry.loading is None:
                entry.backoff.check()
                entry.loading = self._in_background(self._load(entry, model))
            await asyncio.shield(entry.loading)

    async def _load(self, entry: Entry, model: Served) -> None:
        """One load, however many wait for it. It goes on when they leave."""
        folder = model.folder_on(self.node.row.pk)
        if folder is None:
            raise LoadFailed(say("folder_gone", model=model.name))
        began = time.monotonic()
        try:
            lease = await self._landlord.reserve(folder, entry.known, pinned=entry.settings.pinned)
            entry.resident = await self._start(entry, folder, lease, model.type)
        except LoadFailed as failure:
            entry.backoff.load_failed(failure.message)
            log.warning("Model not loaded.", model=entry.name, reason=failure.message)
            raise
        finally:
            entry.loading = None
            await self._tell(entry)
        log.info("Model loaded.", model=entry.name, seconds=round(time.monotonic() - began, 2), **entry.resident.gate)

    async def _start(self, entry: Entry, folder: ModelFolder, lease: Lease, task: str) -> Resident:
        def progress(done: int, total: int) -> None:
            entry.progress = (done, total)
            self._tell_soon(entry)

        limit = entry.settings.context_limit
        resident = await Resident.load(self.node, folder, lease, progress, limit=limit, task=task)
        entry.known = {"model": resident.facts, "gate": resident.gate}
        resident.on_wanted = functools.partial(self._landlord.grow, resident)
        self._in_background(self._stay_with(entry, resident))
        await self._landlord.fit(resident)
        return resident

    async def _stay_with(self, entry: Entry, resident: Resident) -> None:
        began = time.monotonic()
        await resident.gone.wait()
        entry.resident = None
        if resident.fault:
            entry.backoff.crashed(
                join(say("engine_ended", model=entry.name), resident.ending), time.monotonic() - began
            )
            log.error("Engine lost.", model=entry.name, reason=resident.ending)
        await self._tell(entry)

    def _tell_soon(self, entry: Entry) -> None:
        """At most ten times a second for one model."""
        now = time.monotonic()
        if now - self._told.get(entry.name, 0.0) >= TELL_SECONDS:
            self._told[entry.name] = now
            self._in_background(self._tell(entry))

    async def _tell(self, entry: Entry) -> None:
        await announce(ENGINES, "engine.changed", engine=entry.state())

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, FmlxError):
            log.error("The pool failed at something.", exc_info=error)


_here: list[Pool] = []


@contextlib.contextmanager
def here(pool: Pool) -> Iterator[None]:
    """While the block runs, `pool` is this process's."""
    _here.append(pool)
    try:
        yield
    finally:
        _here.remove(pool)
        pool.close()


def pool_here() -> Pool | None:
    return _here[-1] if _here else None


def pool_for(model: Served) -> "Pool | RemotePool":
    """The pool that holds a model: this process's own, or another's on this machine. Nobody else knows which it is."""
    pool = pool_here()
    return pool if pool and model.folder_on(pool.node.row.pk) else reach(model)


@asynccontextmanager
async def engine_for(model: Served) -> AsyncIterator[Engine]:
    """The engine of a model, loaded if need be. It is not evicted while the block runs.

    Raises:
        LoadFailed, NoRoomForModel, ModelsPinned, NeverFits, NodeUnreachable
    """
    async with pool_for(model).engine_for(model) as engine:
        yield engine


async def cancel_call(catalog: Catalog, call_id: str, holder: str | None) -> bool:
    """On whichever node it is that this process can ask. False when none has it."""
    own = pool_here()
    found = bool(own and await own.cancel(call_id, holder))
    others = {folder.node.name for model in catalog.models.values() for folder in model.folders}
    for name in others - ({own.node.row.name} if own else set()):
        with contextlib.suppress(NodeUnreachable, EngineLost, TimeoutError):
            found = await RemotePool(name).cancel(call_id, holder) or found
    return found


async def engine_states(catalog: Catalog) -> dict[str, Event]:
    """What each model's engine is doing, on every node that this process can ask."""
    own = pool_here()
    others = {folder.node.name for model in catalog.models.values() for folder in model.folders}
    others -= {own.node.row.name} if own else set()
    states = await asyncio.gather(*map(_states_of, others))
    return {name: state for one in states for name, state in one.items()} | (await own.states() if own else {})


async def _states_of(node_name: str) -> dict[str, Event]:
    with contextlib.suppress(NodeUnreachable, EngineLost, TimeoutError):
        return await RemotePool(node_name).states()
    return {}
