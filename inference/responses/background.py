"""Responses made in the background: a task each, whose row says twice a second that it is there. One whose process
died is made again by the first process that is asked about it."""

import asyncio
import contextlib
from contextvars import Context
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError

from fmlx_site.errors import FmlxError, TooMany
from fmlx_site.live import announce
from inference.api.formats.responses_wire import ResponsesWire
from inference.api.generation import Call, stream_of
from inference.keys.meter import PROCESS
from inference.models import StoredResponse
from inference.request_log.visit import Visit, visiting
from inference.request_log.wire import note_end
from inference.responses import store

log = structlog.get_logger(__name__)
SAVE_SECONDS = 0.5
MOST_RUNNING = 1000  # in one process; each is a prompt in memory
PATIENCE_SECONDS = 600.0  # what there is no room for is asked for again so long
_running: dict[str, "Making"] = {}


def require_room() -> None:
    """Raises TooMany."""
    if len(_running) >= MOST_RUNNING:
        raise TooMany(f"{MOST_RUNNING} responses are being made in the background; try again later.", retry_after=10)


def begin(row: StoredResponse, call: Call, wire: ResponsesWire, visit: Visit | None) -> None:
    """On the running loop, in a context of its own: that of the request ends with it. `row` is this process's."""
    making = _running[row.pk] = Making(row, call, wire, held=bool(visit and visit.held))
    if visit:
        visit.held = False  # the key's limits hear of it when the work has ended, and not when it was accepted
    task = asyncio.get_running_loop().create_task(making.run(), context=Context())
    task.add_done_callback(lambda _: _running.pop(row.pk, None))
    making.task = task


def is_made_here(response_id: str) -> bool:
    return response_id in _running


def end(response_id: str) -> None:
    """It was cancelled, or is gone; if it is made by another process, that will see so itself."""
    if (making := _running.get(response_id)) and making.task:
        making.task.cancel()


class Making:
    """`held`: it counts as running against its key's limits, until it has ended."""

    def __init__(self, row: StoredResponse, call: Call, wire: ResponsesWire, *, held: bool) -> None:
        self.row, self.call, self.wire = row, call, wire
        self.task: asyncio.Task[None] | None = None
        self._held = held
        self._first = wire.number

    async def run(self) -> None:
        with visiting("BACKGROUND", "/v1/responses") as visit:
            visit.key, visit.model, visit.streamed = self.row.key, self.call.model.name, self.row.streamed
            visit.held = self._held
            try:
                await self._make(visit)
            except (DatabaseError, InterfaceError):
                log.exception("A response could not be kept.", response=self.row.pk)
            finally:
                visit.complete, visit.status = True, visit.status or 200
                note_end(visit)
                await visit.settle()

    async def _make(self, visit: Visit) -> None:
        work = asyncio.create_task(self._ask())
        try:
            while not (await asyncio.wait({work}, timeout=SAVE_SECONDS))[0]:
                if not await self._save(store.save):
                    return
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
        if error := work.exception():
            visit.status, visit.code = self._failed(error)
        await self._save(store.settle)

    async def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_SECONDS
        while True:
            try:
                async with contextlib.aclosing(stream_of(self.call)) as chunks:
                    async for _chunk in chunks:
                        pass
                return
            except FmlxError as error:
                if not error.retry_after or loop.time() > deadline:
                    raise
                await asyncio.sleep(error.retry_after)

    def _failed(self, error: BaseException) -> tuple[int, str]:
        if not isinstance(error, FmlxError):
            log.error("A response failed.", response=self.row.pk, exc_info=error)
            error = FmlxError("The server failed while it worked on this response; its log says why.")
        self.wire.fail(error)
        return error.status, error.code or ""

    async def _save(self, write: Any) -> bool:
        said, self.wire.said = self.wire.said, []
        self.row.body = self.wire.response
        kept: bool = await sync_to_async(write)(self.row, self._first, said)
        self._first += len(said)
        if said or self.wire.response["status"] in store.ENDED:
            await announce(store.group_of(self.row.pk), "response.moved")
        return kept


def claimed(row: StoredResponse) -> bool:
    return store.claim(row, PROCESS)
