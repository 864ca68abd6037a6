"""Requests that ended, written together a moment later: one transaction for many, and none of them waits for it."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Max

from fmlx_site.live import announce
from inference.keys.meter import PROCESS
from inference.models import ApiKey, RequestLog
from inference.request_log import retention
from inference.request_log.tally import add_to_histograms, add_to_usage
from inference.request_log.visit import Visit

log = structlog.get_logger(__name__)
GROUP = "requests"  # who hears that there are new ones
WAIT_SECONDS = 0.5
MOST_WAITING = 20_000  # while the database is away; then the oldest are lost, and the log says how many
MOST_AT_ONCE = 1000
FOUND = (
    *("request_id", "model", "endpoint", "status", "code", "streamed", "prompt_tokens", "completion_tokens"),
    *("cached_tokens", "queue_seconds", "first_token_seconds", "tokens_per_second", "seconds", "body"),
)
COLUMNS = (*FOUND, "at", "key_id", "process")
PLACES = ", ".join(["%s"] * len(COLUMNS))
INSERT = f"INSERT INTO inference_requestlog ({', '.join(COLUMNS)}) VALUES ({PLACES})"  # noqa: S608 - names of ours


class Writer:
    def __init__(self) -> None:
        self._waiting: deque[Visit] = deque()
        self._lost = 0
        self._writing: asyncio.Task[None] | None = None

    def add(self, visit: Visit) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._lost += 1
        self._waiting.append(visit)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_soon())

    def forget(self) -> None:
        self._waiting.clear()

    async def _write_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(WAIT_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write what is waiting now: what comes meanwhile waits for more, or a busy server would write row by row. What
        the database does not take now waits on."""
        left = len(self._waiting)
        while left > 0 and self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, left, len(self._waiting)))]
            left -= len(batch)
            try:
                newest = await sync_to_async(write)(batch)
            except (DatabaseError, InterfaceError) as error:
                self._waiting.extendleft(reversed(batch))
                log.warning("request_log_waits", waiting=len(self._waiting), lost=self._lost, reason=str(error))
                return
            await announce(GROUP, "requests.written", newest=newest, count=len(batch))
        if self._lost:
            log.error("request_log_lost", count=self._lost)
            self._lost = 0


def write(visits: Sequence[Visit]) -> int:
    """The number of the newest row."""
    with transaction.atomic():
        _let_go_of_deleted(visits)
        newest = _insert(visits)
        add_to_usage(visits)
        add_to_histograms(visits)
        _used(visits)
    retention.purge_now_and_then()
    return newest


def _let_go_of_deleted(visits: Sequence[Visit]) -> None:
    """Keys go with their owners, also while requests of theirs wait to be written."""
    asked = {visit.key.pk for visit in visits if visit.key}
    there = set(ApiKey.objects.filter(pk__in=asked).values_list("pk", flat=True))
    for visit in visits:
        if visit.key and visit.key.pk not in there:
            visit.key = None


def _insert(visits: Iterable[Visit]) -> int:
    """By one statement for all: Django's own way costs three times as much, and there is a row for every request."""
    with connection.cursor() as cursor:
        cursor.executemany(INSERT, [_row(visit) for visit in visits])
    newest: int = RequestLog.objects.aggregate(newest=Max("pk"))["newest"]
    return newest


def _row(visit: Visit) -> tuple[Any, ...]:
    at = connection.ops.adapt_datetimefield_value(visit.at)
    return (*(getattr(visit, name) for name in FOUND), at, visit.key.pk if visit.key else None, PROCESS)


def _used(visits: Iterable[Visit]) -> None:
    last = {visit.key.pk: visit.at for visit in visits if visit.key}
    for pk, at in last.items():
        ApiKey.objects.filter(pk=pk).update(last_used_at=at)


writer = Writer()
