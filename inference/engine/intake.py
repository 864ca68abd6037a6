"""Between the socket and the engine: requests are checked and tokenised here, on threads that never compute.

Long texts have a thread of their own, so that tokenising one of them keeps nobody else waiting.
"""

import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from inference.engine import messages
from inference.engine.detokenise import Vocabulary
from inference.engine.messages import Json, Refusal, Usage
from inference.engine.parameters import Parameters, parse
from inference.engine.requests import Request, Sequence
from inference.engine.stopping import StopMatcher
from inference.engine.templates import Templates, too_long
from inference.engine.tokenising import tokenised
from memory.protocol import Channel, Message

LONG_CHARACTERS = 64 * 1024  # about 20 ms of tokenising (tokenizers 0.23, one core)
DEPTH = 4  # messages, message, content, part
UNREAD = "The request could not be read; the engine's log says why."
Deliver = Callable[[Request | Message], None]


class Intake:
    """`deliver` gets what the engine must act on: checked requests, and the node's other messages."""

    def __init__(
        self,
        channel: Channel,
        templates: Templates,
        vocabulary: Vocabulary,
        *,
        defaults: Json,
        vocab_size: int,
        context_limit: int,
        deliver: Deliver,
    ) -> None:
        self._channel, self._templates, self._vocabulary = channel, templates, vocabulary
        self._defaults, self._vocab_size, self._context_limit = defaults, vocab_size, context_limit
        self._deliver = deliver
        self._lanes = {long: ThreadPoolExecutor(1, f"intake-{'long' if long else 'short'}") for long in (False, True)}
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
        self._lanes[_is_long(message)].submit(self._take_in, id_, message, arrived)

    def _abort(self, id_: str, message: Message) -> None:
        with self._lock:
            if id_ in self._open:
                self._aborted.add(id_)
            else:
                self._deliver(message)

    def _take_in(self, id_: str, message: Message, arrived: float) -> None:
        try:
            if message.get("tokenise") is True:
                self._close(id_, messages.tokenised(id_, tokenised(self._templates, message)))
                return
            request = self._checked(id_, message, arrived)
        except Refusal as refusal:
            self._close(id_, messages.refused(id_, refusal))
        except Exception:  # noqa: BLE001 - the outermost frame of one request
            traceback.print_exc(file=sys.stderr)
            self._close(id_, messages.refused(id_, Refusal(500, "engine_error", UNREAD)))
        else:
            self._close(id_, request)

    def _close(self, id_: str, outcome: Request | Json) -> None:
        with self._lock:
            self._open.remove(id_)
            if id_ in self._aborted:
                self._aborted.remove(id_)
                outcome = messages.aborted(id_, Usage(0, 0))
            if isinstance(outcome, Request):
                self._deliver(outcome)
                return
        self._channel.send("event", **outcome)

    def _checked(self, id_: str, message: Message, arrived: float) -> Request:
        parameters = parse(message, self._defaults, self._vocab_size)
        prompt, points = self._templates.prompt(message)
        param = "messages" if message["kind"] == "chat" else "prompt"
        if not prompt:
            raise Refusal(400, "empty_prompt", "The prompt is empty: there is nothing to go on from.", param=param)
        if len(prompt) >= self._context_limit:
            raise too_long(len(prompt), self._context_limit, param)
        request = self._request(id_, message["kind"], prompt, parameters, arrived)
        request.points = points
        return request

    def _request(self, id_: str, kind: str, prompt: list[int], parameters: Parameters, arrived: float) -> Request:
        left = self._context_limit - len(prompt)
        request = Request(id_, kind, prompt, parameters, min(left, parameters.max_tokens or left), arrived)
        for index in range(parameters.n):
            text = self._vocabulary.detokeniser(strip_space=kind == "chat")
            request.sequences.append(Sequence(request, index, list(prompt), text, StopMatcher(parameters.stop)))
        return request


def _is_long(message: Message) -> bool:
    return _characters(message.get("messages")) + _characters(message.get("prompt")) > LONG_CHARACTERS


def _characters(value: Any, depth: int = DEPTH) -> int:
    if isinstance(value, str):
        return len(value)
    if not depth or not value:
        return 0
    if isinstance(value, list):
        return len(value) if isinstance(value[0], int) else sum(_characters(item, depth - 1) for item in value)
    return sum(_characters(item, depth - 1) for item in value.values()) if isinstance(value, dict) else 0
