"""A node's door for site processes of its machine; `inference.remote` is the other side and says what is spoken."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import structlog

from fmlx_site.errors import FmlxError, InvalidRequest
from inference.catalog import recent_catalog
from inference.client import Answer, Event
from inference.pool import Pool
from inference.remote import door_path
from memory import parts_of
from memory.protocol import MAX_LINE_BYTES

log = structlog.get_logger(__name__)


async def keep_open(pool: Pool, begun: Callable[[], None]) -> None:
    """Listen until cancelled; `begun` is called when it does. Only this user may connect."""
    path = door_path(pool.node.row.name)
    visits: set[asyncio.Task[Any]] = set()

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            visits.add(task)
            task.add_done_callback(visits.discard)
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, ValueError):
            await _serve(pool, reader, writer)

    await asyncio.to_thread(_clear, path)
    server = await asyncio.start_unix_server(visit, path, limit=MAX_LINE_BYTES)
    await asyncio.to_thread(path.chmod, 0o600)
    begun()
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
        for task in visits:
            task.cancel()
        path.unlink(missing_ok=True)


def _clear(path: Any) -> None:
    """A node holds its lock before it opens its door, so a socket that is here is a dead one's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


async def _serve(pool: Pool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        return
    work = asyncio.ensure_future(_answer(pool, json.loads(line), writer))
    gone = asyncio.ensure_future(reader.read(1))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _answer(pool: Pool, asked: Event, writer: asyncio.StreamWriter) -> None:
    try:
        match asked["do"]:
            case "ask":
                await _ask(pool, asked, writer)
            case "probe" | "tokens":
                await _say(writer, said=await _inquire(pool, asked))
            case "load":
                await pool.load((await recent_catalog.read()).engine_model(asked["model"]))
                await _say(writer, done=True)
            case "unload":
                await _say(writer, done=await pool.unload(asked["model"], asked["reason"]))
            case "cancel":
                await _say(writer, done=await pool.cancel(asked["call"], asked["holder"]))
            case "states":
                await _say(writer, states=await pool.states())
            case other:
                raise InvalidRequest(f"A node does not know what {other!r} is.")
    except FmlxError as error:
        names = ("status", "code", "message", "param", "retry_after")
        fields = {name: getattr(error, name) for name in names}
        await _say(writer, error=fields | {"said": parts_of(error.message)})


async def _ask(pool: Pool, asked: Event, writer: asyncio.StreamWriter) -> None:
    model = (await recent_catalog.read()).engine_model(asked["model"])
    async with pool.engine_for(model) as engine, engine.ask(asked["request"]) as answer:
        await _say(writer, facts=answer.facts, accepted=answer.accepted)
        await _pass_on(answer, writer)


async def _inquire(pool: Pool, asked: Event) -> Event:
    model = (await recent_catalog.read()).chat_model(asked["model"])
    async with pool.engine_for(model) as engine:
        inquire = engine.probe if asked["do"] == "probe" else engine.tokens
        return await inquire(asked["request"])


async def _pass_on(answer: Answer, writer: asyncio.StreamWriter) -> None:
    while True:
        events = await answer.next()
        await _say(writer, events=events)
        if events[-1].get("phase") == "finished":
            return


async def _say(writer: asyncio.StreamWriter, **message: Any) -> None:
    writer.write(json.dumps(message, separators=(",", ":")).encode() + b"\n")
    await writer.drain()
