"""A node's part: its downloads, one after the other, each in a process that goes on where the last one ended."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections

from fmlx_site.live import announce, listening
from inference.downloads import folders, rows
from inference.downloads.changes import CHANGED, NODES
from inference.downloads.models import Download
from inference.downloads.process import RUNTIME, Fetching, fetching
from inference.options import HUB_ENDPOINT
from inference.shelf import rescan_everywhere
from memory import join, say
from memory.environments import runtime_python

log = structlog.get_logger(__name__)
LOOK_SECONDS = 2.0  # for what a process without a channel to this one asked
REPORT_SECONDS = 1.0
PAUSES = (2.0, 10.0, 60.0, 300.0)  # before a download goes on when the hub was away in the middle of it
PACE_READINGS = 10


class Gone(Exception):
    """The download was cancelled or removed: whoever has it in hand lets go of it."""


async def keep_downloading(node_id: int) -> None:
    """Until cancelled; what runs then is in line again."""
    async with listening(NODES) as asked:
        while True:
            await _turn(node_id)
            await asked.next(LOOK_SECONDS)


async def _turn(node_id: int) -> None:
    """Nothing is in hand at its beginning: what was, of an earlier node or before the database was away, goes on."""
    try:
        await sync_to_async(close_old_connections)()
        await sync_to_async(rows.recover)(node_id)
        await _sweep()
        while row := await sync_to_async(rows.claim)(node_id):
            await _tell()
            await _hold(row)
            await _sweep()
    except (DatabaseError, InterfaceError):
        log.exception("Downloads could not be read or written; trying again.")


async def _sweep() -> None:
    await asyncio.to_thread(folders.discard, await sync_to_async(folders.strays)())


async def _hold(row: Download) -> None:
    try:
        await Delivery(row).run()
    except Gone:
        log.info("A download was stopped.", repository=row.repository)
    except asyncio.CancelledError:
        await sync_to_async(rows.transition)(row, Download.State.QUEUED)
        raise
    await _tell()


async def _tell() -> None:
    await announce(CHANGED, "downloads.changed")


class Delivery:
    """One download in the hands of this node."""

    def __init__(self, row: Download) -> None:
        self._row = row
        self._known = False  # what there is, in this attempt
        self._readings: deque[tuple[float, int]] = deque(maxlen=PACE_READINGS)

    async def run(self) -> None:
        """To its end, whichever it is. Raises Gone."""
        if await asyncio.to_thread(folders.is_settled, self._row):
            await self._finish()
        elif await asyncio.to_thread(folders.is_taken, self._row):
            await self._fail("there", path=str(folders.target_of(self._row)))
        elif not runtime_python(settings.FMLX.home, RUNTIME).exists():
            await self._fail("no_runtime", runtime=RUNTIME)
        else:
            await self._fetch()

    async def _fetch(self) -> None:
        for pause in (*PAUSES, None):
            said = await self._attempt()
            if said.done:
                await self._settle()
                return
            if pause is None or not said.total or said.failed.get("code") != "unreachable":
                break
            log.warning("The hub is away in the middle of a download.", pause=pause, **said.failed["figures"])
            await self._pause(pause)
        failed = said.failed or {"code": "ended", "figures": {"log": f"download-{self._row.pk}.log"}}
        await self._fail(failed["code"], **failed["figures"])

    async def _attempt(self) -> Fetching:
        said, self._known = Fetching(), False
        async with fetching(self._row, said) as following:
            while not following.done():
                await asyncio.wait({following}, timeout=REPORT_SECONDS)
                await self._report(said)
        return said

    async def _report(self, said: Fetching) -> None:
        if said.commit and not self._known:
            self._known, self._row.commit = True, said.commit
            await self._write(rows.found, said.commit, said.total)
        if not self._known:
            await self._write(rows.is_held)
            return
        came = min(said.came, said.total)
        self._readings.append((time.monotonic(), came))
        await self._write(rows.report, came, self._pace())
        await _tell()

    async def _pause(self, seconds: float) -> None:
        """Looking meanwhile whether it is wanted any more."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            await self._write(rows.is_held)
            await asyncio.sleep(min(left, REPORT_SECONDS))

    def _pace(self) -> float:
        """Bytes a second over the last readings."""
        (first, before), (last, now) = self._readings[0], self._readings[-1]
        return max(0, now - before) / (last - first) if last > first else 0.0

    async def _settle(self) -> None:
        await self._write(rows.is_held)
        try:
            await asyncio.to_thread(folders.settle, self._row)
        except OSError as error:
            await self._fail("disk", why=error.strerror or str(error))
        else:
            await self._finish()

    async def _finish(self) -> None:
        await self._write(rows.finish)
        await rescan_everywhere()
        log.info("A model was downloaded.", repository=self._row.repository, folder=str(folders.target_of(self._row)))

    async def _fail(self, code: str, *, why: str = "", **figures: object) -> None:
        """`why` is what the system or the library said, in its words."""
        message = join(say(f"download_{code}", **self._about(), **figures), why)
        log.info("A download failed.", repository=self._row.repository, code=code, reason=message)
        await self._write(rows.fail, f"download_{code}", message)

    def _about(self) -> dict[str, str]:
        return {"repository": self._row.repository, "revision": self._row.revision, "hub": HUB_ENDPOINT.value}

    async def _write(self, write: Callable[..., bool], *given: object) -> None:
        if not await sync_to_async(write)(self._row, *given):
            raise Gone
