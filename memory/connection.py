"""The node's end of a worker's socket.

A thread reads, so that signs of life are seen while the event loop is busy; the event loop writes.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import structlog

from memory.mailbox import Mailbox
from memory.protocol import FROM_WORKER, MAX_LINE_BYTES, PROTOCOL, Message, ProtocolError, decode, encode
from memory.watch import Pulse

log = structlog.get_logger(__name__)
DRAIN_SECONDS = 1.0


class Connection:
    """Made on the event loop that will read it."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        self.pulse = Pulse()
        self.hello: asyncio.Future[Message | None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._sending = asyncio.Lock()
        self._unsent = 0  # messages that wait for the socket, the one it has a part of included
        self._mailbox = Mailbox(self._loop)
        self._greeted = False
        self._closed = asyncio.Event()
        threading.Thread(target=self._read, name=f"reader-{name}", daemon=True).start()

    async def send(self, type_: str, **fields: Any) -> None:
        """Send one message whole, even if the caller is cancelled. To a worker that is gone nothing is sent.

        Most are sent at once; a task of its own, that goes on without the caller, is only for what has to wait."""
        left = memoryview(encode({"type": type_, **fields}))
        if self._unsent or (left := self._taken(left)):
            self._unsent += 1
            await asyncio.shield(asyncio.ensure_future(self._send_when_writable(left)))

    async def messages(self) -> AsyncIterator[Message]:
        """What the worker says, heartbeats left out, until it is gone. For one reader."""
        while (message := await self._mailbox.get()) is not None:
            yield message

    async def closed(self) -> None:
        """Wait until the worker has closed its end."""
        await self._closed.wait()

    async def close(self) -> None:
        """The worker is gone: take in what it said last, then let go of the socket."""
        self._mailbox.unbound()
        with contextlib.suppress(TimeoutError):  # a process that is not the worker's may hold the other end
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._closed.wait()
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        await self._closed.wait()
        async with self._sending:
            self._sock.close()

    async def _send_when_writable(self, left: memoryview) -> None:
        try:
            async with self._sending:
                while left := self._taken(left):
                    await self._writable()
        finally:
            self._unsent -= 1

    def _taken(self, left: memoryview) -> memoryview:
        """What the socket does not take now; nothing, if nobody is there to read it."""
        try:
            while left:
                left = left[self._sock.send(left, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            return left
        except OSError:
            return left[:0]  # the reader sees the end too
        return left

    async def _writable(self) -> None:
        """On asyncio's own loop: uvloop would make the socket non-blocking, and its reader, a thread, would end."""
        ready = asyncio.Event()
        self._loop.add_writer(self._sock.fileno(), ready.set)
        try:
            await ready.wait()
        finally:
            self._loop.remove_writer(self._sock.fileno())

    def _read(self) -> None:
        try:
            with self._sock.makefile("rb") as stream:
                while (line := stream.readline(MAX_LINE_BYTES + 1)).endswith(b"\n"):
                    self._receive(line)
            if len(line) > MAX_LINE_BYTES:
                raise ProtocolError(f"A line longer than {MAX_LINE_BYTES} bytes: {line[:80]!r}")
        except OSError:
            pass  # a reset is an end
        except ProtocolError as error:
            self.pulse.fault = str(error)
        finally:
            self.pulse.open = False
            self._mailbox.end()
            self._on_loop(self._end)

    def _receive(self, line: bytes) -> None:
        message = decode(line)
        self.pulse.beat()
        if not self._greeted:
            self._greet(message)
        elif message["type"] not in FROM_WORKER:
            self._on_loop(self._refuse, message["type"])
        elif message["type"] != "heartbeat":
            self.pulse.advance()
            self._mailbox.put(message, len(line), waiting=self.pulse.advance)

    def _greet(self, message: Message) -> None:
        if message["type"] != "hello":
            raise ProtocolError(f"The first line is {message['type']!r} and should be 'hello'.")
        if message.get("protocol") != PROTOCOL:
            raise ProtocolError(f"The worker speaks protocol {message.get('protocol')!r}, and the node {PROTOCOL}.")
        self._greeted = True
        self.pulse.advance()
        self._on_loop(self._set_hello, message)

    def _on_loop(self, call: Any, *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop closed before the worker did
            self._loop.call_soon_threadsafe(call, *arguments)

    def _set_hello(self, message: Message | None) -> None:
        if not self.hello.done():
            self.hello.set_result(message)

    def _end(self) -> None:
        self._set_hello(None)
        self._closed.set()

    def _refuse(self, type_: str) -> None:
        log.warning("worker_message_refused", type=type_)
        self._refusing = asyncio.ensure_future(self.send("error", message=f"Unknown message type {type_!r}."))
