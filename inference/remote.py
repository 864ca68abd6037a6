"""The pool of a node in another process of this machine, reached through the node's door: a Unix socket.

One JSON line asks; then lines come back. An `error` line is the end of it, and closing the connection aborts.

    {do: "ask", model, request}  → {facts, accepted} · {events: [...]} ...
    {do: "load" | "unload", model}  → {done: bool}
    {do: "probe" | "tokens", model, request}  → {said}
    {do: "cancel", call, holder}  → {done: bool}
    {do: "states"}  → {states}
"""

import asyncio
import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from inference.catalog import Served
from inference.client import Answer, Engine, Event
from inference.errors import EngineLost, EngineRefused, NodeUnreachable
from memory import say
from memory.protocol import MAX_LINE_BYTES

MAX_PATH_BYTES = 100  # sun_path holds 104 bytes on macOS and 108 on Linux
RETRY_SECONDS = 5
SOON_SECONDS = 1.0  # a page does not wait longer for a node that stands still
HEARD_SECONDS = 10.0  # ten missed heartbeats


def door_path(node_name: str) -> Path:
    """Where a node of this home listens. Below a home whose path is too long for a socket, in a short place."""
    path: Path = settings.FMLX.run / f"{node_name}.sock"
    if len(os.fsencode(path)) <= MAX_PATH_BYTES:
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"fmlx-{os.getuid()}" / f"{digest}.sock"


class RemotePool:
    """The same seam as `pool.Pool`'s, in another process."""

    def __init__(self, node_name: str) -> None:
        self.node_name = node_name

    @asynccontextmanager
    async def engine_for(self, model: Served) -> AsyncIterator[Engine]:
        yield RemoteEngine(self, model.name)

    async def load(self, model: Served) -> None:
        await self._one("load", model=model.name)

    async def unload(self, name: str, reason: str) -> bool:
        return bool((await self._one("unload", model=name, reason=reason))["done"])

    async def cancel(self, call_id: str, holder: str | None) -> bool:
        """Raises TimeoutError as well, if it stands still."""
        async with asyncio.timeout(SOON_SECONDS):
            return bool((await self._one("cancel", call=call_id, holder=holder))["done"])

    async def states(self) -> dict[str, Event]:
        """Raises TimeoutError as well, if it stands still."""
        async with asyncio.timeout(SOON_SECONDS):
            return dict((await self._one("states"))["states"])

    async def inquire(self, do: str, model: str, request: Event) -> Event:
        return dict((await self._one(do, model=model, request=request))["said"])

    async def _one(self, do: str, **fields: Any) -> Event:
        async with self.asking(do, **fields) as reader:
            return await _read(reader)

    @asynccontextmanager
    async def asking(self, do: str, **fields: Any) -> AsyncIterator[asyncio.StreamReader]:
        """Raises NodeUnreachable."""
        try:
            reader, writer = await asyncio.open_unix_connection(door_path(self.node_name), limit=MAX_LINE_BYTES)
        except OSError as error:
            text = say("node_unreachable", node=self.node_name, why=error.strerror)
            raise NodeUnreachable(text, retry_after=RETRY_SECONDS) from None
        try:
            writer.write(json.dumps({"do": do, **fields}, separators=(",", ":")).encode() + b"\n")
            await writer.drain()
            yield reader
        except ConnectionError:
            raise EngineLost(f"The node {self.node_name!r} went away.", retry_after=RETRY_SECONDS) from None
        finally:
            writer.close()


class RemoteEngine:
    def __init__(self, pool: RemotePool, model: str) -> None:
        self._pool, self._model = pool, model

    @asynccontextmanager
    async def ask(self, request: Event) -> AsyncIterator[Answer]:
        async with self._pool.asking("ask", model=self._model, request=request) as reader:
            first = await _read(reader)
            answer = Answer(request["id"], first["facts"])
            answer.accepted = first["accepted"]
            feeding = asyncio.create_task(_feed(answer, reader))
            try:
                yield answer
            finally:
                feeding.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await feeding

    async def probe(self, request: Event) -> Event:
        return await self._pool.inquire("probe", self._model, request)

    async def tokens(self, request: Event) -> Event:
        return await self._pool.inquire("tokens", self._model, request)


async def _feed(answer: Answer, reader: asyncio.StreamReader) -> None:
    try:
        while not answer.ended:
            for event in (await _read(reader))["events"]:
                answer.push(event)
    except (EngineRefused, EngineLost, ConnectionError) as error:
        said = {"status": 503, "code": EngineLost.code, "message": str(error)}
        if isinstance(error, EngineRefused):
            said |= {"status": error.status, "code": error.code}
        answer.push({"phase": "failed", **said})


async def _read(reader: asyncio.StreamReader) -> Event:
    """Raises EngineRefused with what the node said, or EngineLost when it said nothing more."""
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise EngineLost("The node went away while it worked on the request.", retry_after=RETRY_SECONDS)
    message: Event = json.loads(line)
    if "error" in message:
        raise EngineRefused(message["error"])
    return message


def reach(model: Served) -> RemotePool:
    """A node of this machine that has the model, if one is there; else one that will say that it is not.

    Raises:
        NodeUnreachable: it has a door, and stands still: whoever asked there would wait for nothing.
    """
    nodes = [folder.node for folder in model.folders]
    node = max((one for one in nodes if door_path(one.name).exists()), key=lambda one: one.heartbeat_at, default=None)
    if node is None:
        return RemotePool(nodes[0].name)
    silent = (timezone.now() - node.heartbeat_at).total_seconds()
    if silent > HEARD_SECONDS:
        text = say("node_suspended", node=node.name, seconds=round(silent))
        raise NodeUnreachable(text, retry_after=RETRY_SECONDS)
    return RemotePool(node.name)
