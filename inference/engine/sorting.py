"""Between the socket and what computes: messages are told apart, and requests checked, on threads that never compute.

Long texts have a thread of their own, and so have grammars, so that neither keeps anybody else waiting.
"""

import sys
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from inference.engine import messages
from inference.engine.messages import Json, Refusal, Usage
from memory.protocol import Channel, Message

LONG_CHARACTERS = 64 * 1024  # about 20 ms of tokenising (tokenizers 0.23, one core)
LANES = ("short", "long", "held")
DEPTH = 4  # messages, message, content, part
UNREAD = "The request could not be read; the engine's log says why."
TEXTS = ("messages", "prompt", "inputs", "query", "documents", "pairs")
Request = TypeVar("Request")


class Sorter(ABC, Generic[Request]):
    """`deliver` gets what must be acted on: checked requests, and the node's other messages."""

    def __init__(self, channel: Channel, deliver: Callable[[Request | Message], None]) -> None:
        self._channel, self._deliver = channel, deliver
        self._lanes = {lane: ThreadPoolExecutor(1, f"intake-{lane}") for lane in LANES}
        self._lock = threading.Lock()
        self._open: set[str] = set()
        self._aborted: set[str] = set()

    def start(self) -> None:
        threading.Thread(target=self._sort, name="intake", daemon=True).start()

    def _sort(self) -> None:
        while (message := self._channel.inbox.get())["type"] != "stop":
            try:
                self._act_on(message)
            except Exception as error:  # noqa: BLE001 - the outermost loop of this thread, which must not end
                traceback.print_exc(file=sys.stderr)
                self._complain(f"This {message['type']} message was not understood: {error!r:.200}")
        self._deliver(message)

    def _act_on(self, message: Message) -> None:
        id_ = message.get("id")
        if message["type"] == "lease":
            most = message.get("most")
            self._deliver({"type": "lease", "bytes": int(message["bytes"]), "most": int(most) if most else None})
        elif not isinstance(id_, str) or not id_:
            self._complain(f"A {message['type']} needs the id of a request; this one's is {id_!r:.80}.")
        elif message["type"] == "request":
            self._open_request(id_, message)
        elif message["type"] == "abort":
            self._abort(id_, message)

    def _complain(self, what: str) -> None:
        self._channel.send("error", message=what)

    def _open_request(self, id_: str, message: Message) -> None:
        with self._lock:
            if id_ in self._open:
                self._complain(f"There is a request with the id {id_!r:.80} already.")
                return
            self._open.add(id_)
        arrived = time.monotonic()
        self._lanes[_lane(message)].submit(self._take_in, id_, message, arrived)

    def _abort(self, id_: str, message: Message) -> None:
        with self._lock:
            if id_ in self._open:
                self._aborted.add(id_)
            else:
                self._deliver(message)

    def _take_in(self, id_: str, message: Message, arrived: float) -> None:
        try:
            outcome = self._checked(id_, message, arrived)
        except Refusal as refusal:
            self._close(id_, messages.refused(id_, refusal))
        except Exception:  # noqa: BLE001 - the outermost frame of one request
            traceback.print_exc(file=sys.stderr)
            self._close(id_, messages.refused(id_, Refusal(500, "engine_error", UNREAD)))
        else:
            self._close(id_, outcome)

    def _close(self, id_: str, outcome: Request | Json) -> None:
        with self._lock:
            self._open.remove(id_)
            if id_ in self._aborted:
                self._aborted.remove(id_)
                outcome = messages.aborted(id_, Usage(0, 0))
            if not isinstance(outcome, dict):
                self._deliver(outcome)
                return
        self._channel.send("event", **outcome)

    @abstractmethod
    def _checked(self, id_: str, message: Message, arrived: float) -> Request | Json:
        """The request, or what ends it at once. Raises Refusal."""


def _lane(message: Message) -> str:
    if sum(_characters(message.get(name)) for name in TEXTS) > LONG_CHARACTERS:
        return "long"
    return "held" if message.get("structure") or message.get("tools") else "short"


def _characters(value: Any, depth: int = DEPTH) -> int:
    if isinstance(value, str):
        return len(value)
    if not depth or not value:
        return 0
    if isinstance(value, list):
        return len(value) if isinstance(value[0], int) else sum(_characters(item, depth - 1) for item in value)
    return sum(_characters(item, depth - 1) for item in value.values()) if isinstance(value, dict) else 0
