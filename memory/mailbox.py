"""Messages on their way from a reader's thread to the event loop."""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable

from memory.protocol import MAX_LINE_BYTES, Message

MAX_UNREAD_BYTES = MAX_LINE_BYTES
OVERHEAD_BYTES = 1024  # about what a small message costs as a Python object, so that their number is bounded too
WAITING_SECONDS = 1.0


class Mailbox:
    """Bounded by bytes: while it is full the reader waits, and with it the worker."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._arrived = asyncio.Event()
        self._space = threading.Condition()
        self._items: deque[tuple[Message, int]] = deque()
        self._unread = 0
        self._bounded = True
        self._ended = False

    def put(self, message: Message, size: int, waiting: Callable[[], None]) -> None:
        """From the reader's thread. `waiting` is called every second that there is no space."""
        with self._space:
            while self._bounded and self._unread > MAX_UNREAD_BYTES:
                waiting()
                self._space.wait(WAITING_SECONDS)
            self._items.append((message, size + OVERHEAD_BYTES))
            self._unread += size + OVERHEAD_BYTES
        self._wake()

    def end(self) -> None:
        """Nothing more comes."""
        with self._space:
            self._ended = True
        self._wake()

    def unbound(self) -> None:
        """The worker is gone: let its reader take in what is left on the socket."""
        with self._space:
            self._bounded = False
            self._space.notify_all()

    async def get(self) -> Message | None:
        """The next message; None when the worker has said its last."""
        while True:
            with self._space:
                if self._items:
                    message, size = self._items.popleft()
                    self._unread -= size
                    self._space.notify_all()
                    return message
                if self._ended:
                    return None
                self._arrived.clear()
            await self._arrived.wait()

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop closed before the worker did
            self._loop.call_soon_threadsafe(self._arrived.set)
