"""The worker's end of the wire: one JSON object per line over an inherited Unix socket.

Standard library only, so that a worker in any environment can import it. Messages carry a
`type`; unknown fields are ignored, unknown types are answered with an `error` line.

    worker → node   hello {protocol, kind, pid, runtime, versions} · ready · heartbeat ·
                    event {phase, ...} · done {manifest} · failed {code, message, detail} · error {message}
    node → worker   start {spec} · request · abort [{id}] · lease {bytes} · stop · error {message}

An abort without an id ends the worker's work as a whole, one with an id a single request of a worker that serves many.
A worker whose `start` had `stay: true` in its spec is idle after `done`, under its lease: the node sends it another
`start`, or `stop`. It says nothing but heartbeats meanwhile.
"""

import contextlib
import json
import os
import queue
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

PROTOCOL = 1
HEARTBEAT_SECONDS = 1.0
LOST_NODE_GRACE_SECONDS = 1.0  # a worker is gone within 2 s of losing its node
MAX_LINE_BYTES = 64 * 1024 * 1024
EXIT_FAILED = 1
EXIT_LOST_NODE = 75  # EX_TEMPFAIL
FROM_NODE = frozenset({"start", "request", "abort", "lease", "stop", "error"})
FROM_WORKER = frozenset({"hello", "ready", "heartbeat", "event", "done", "failed", "error"})

Message = dict[str, Any]


class ProtocolError(Exception):
    """A line that is not a message of this protocol."""


class WorkerFailed(Exception):
    """Work that failed for a reason the node should pass on. `code` is snake_case and stable."""

    def __init__(self, code: str, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.detail = code, message, detail


class Aborted(Exception):
    """The node asked for the work to end; raised from `Channel.checkpoint`."""


def encode(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def decode(line: bytes) -> Message:
    try:
        message = json.loads(line, parse_constant=_refuse_constant)
        if b"\\ud" in line.lower():  # half a surrogate pair can be neither stored nor shown
            json.dumps(message, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"Not a JSON line: {line[:80]!r}") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ProtocolError(f"Not an object with a type: {line[:80]!r}")
    return message


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Channel:
    """A worker's connection to its node. `send` may be called from any thread."""

    def __init__(self, sock: socket.socket, on_lost: Callable[[], None]) -> None:
        self._sock = sock
        self._on_lost = on_lost
        self._write = threading.Lock()
        self._closed = threading.Event()
        self.stopping = threading.Event()  # abort, stop, or the node is gone
        self.lease_bytes: int | None = None
        self.inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()

    @classmethod
    def inherited(cls, fd: int) -> "Channel":
        os.set_inheritable(fd, False)  # a child that outlives this worker must not look like it
        return cls(socket.socket(fileno=fd), on_lost=_exit_after_grace)

    def open(self, kind: str, runtime: str, versions: Mapping[str, str]) -> None:
        """Say hello, then read and beat from threads that are not the one computing."""
        self.send("hello", protocol=PROTOCOL, kind=kind, pid=os.getpid(), runtime=runtime, versions=dict(versions))
        for target in (self._read, self._beat):
            threading.Thread(target=target, name=f"channel-{target.__name__}", daemon=True).start()

    def send(self, type_: str, **fields: Any) -> None:
        line = encode({"type": type_, **fields})
        try:
            with self._write:
                self._sock.sendall(line)
        except OSError:
            self.stopping.set()  # the reader sees the end of the stream too and acts on it

    def event(self, phase: str, **fields: Any) -> None:
        """Report progress, and end here if the node asked for it.

        Raises:
            Aborted: an abort or stop arrived, or the node is gone.
        """
        self.checkpoint()
        self.send("event", phase=phase, **fields)

    def checkpoint(self) -> None:
        if self.stopping.is_set():
            raise Aborted

    def close(self) -> None:
        self._closed.set()
        with contextlib.suppress(OSError):  # the other end closed first
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _lines(self) -> Iterator[bytes]:
        with self._sock.makefile("rb") as stream:
            while line := stream.readline(MAX_LINE_BYTES):
                yield line

    def _read(self) -> None:
        try:
            for line in self._lines():
                self._receive(line)
        except OSError:
            pass  # a reset is an end
        self.stopping.set()
        self.inbox.put({"type": "stop"})
        if not self._closed.is_set():
            self._on_lost()

    def _receive(self, line: bytes) -> None:
        try:
            message = decode(line)
        except ProtocolError as error:
            self.send("error", message=str(error))
            return
        if message["type"] not in FROM_NODE:
            self.send("error", message=f"Unknown message type {message['type']!r}.")
            return
        if message["type"] == "error":  # an answer to something this worker said: kept in its log, never answered
            sys.stderr.write(f"The node refused a message: {message.get('message')}\n")
            return
        if message["type"] == "lease":
            self.lease_bytes = message.get("bytes", self.lease_bytes)
        if message["type"] == "stop" or (message["type"] == "abort" and "id" not in message):
            self.stopping.set()
        self.inbox.put(message)

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_SECONDS) and not self.stopping.is_set():
            self.send("heartbeat")


def _exit_after_grace() -> None:
    """Give the work a moment to tidy its files, then end the process whatever it is doing."""
    threading.Event().wait(LOST_NODE_GRACE_SECONDS)
    os._exit(EXIT_LOST_NODE)


Work = Callable[[Channel, Message], Message]


def serve(channel: Channel, kind: str, runtime: str, versions: Mapping[str, str], work: Work) -> int:
    """Run a worker: hello, wait for `start`, work, `done` or `failed`; and again, where the start's spec has `stay`.

    `work(channel, spec)` returns the manifest. Who stays waits after its `done` for another `start`, and ends when it
    is told to stop, when its node is gone, or when a piece of work fails. Returns the exit status of the process.
    """
    channel.open(kind, runtime, versions)
    try:
        spec = _next_start(channel)
        while spec is not None:
            channel.send("done", manifest=work(channel, spec))
            spec = _next_start(channel, idle=True) if spec.get("stay") else None
        return 0
    except Aborted:
        channel.send("failed", code="aborted", message="The node asked this worker to stop.", detail="")
    except WorkerFailed as failure:
        traceback.print_exc(file=sys.stderr)
        channel.send("failed", code=failure.code, message=failure.message, detail=failure.detail)
    except Exception as error:  # noqa: BLE001 - the outermost loop of a process: log it whole, pass on what happened
        traceback.print_exc(file=sys.stderr)
        text = f"{type(error).__name__}: {error}"
        channel.send("failed", code="worker_error", message=text, detail=traceback.format_exc()[-4000:])
    finally:
        channel.close()
    return EXIT_FAILED


def _next_start(channel: Channel, *, idle: bool = False) -> Message | None:
    """The spec of the next `start`; None when a worker with nothing to do is told to end."""
    while (message := channel.inbox.get())["type"] != "start":
        if message["type"] in ("abort", "stop"):
            if idle:
                return None
            raise Aborted
    return dict(message["spec"])
