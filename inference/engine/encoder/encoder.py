"""The loop: inbox, one batch, answers. Everything here runs on the one thread that owns MLX."""

import base64
import queue
import sys
import time
import traceback
from collections import deque

import mlx.core as mx
import numpy as np

from inference.engine import messages
from inference.engine.encoder.batches import Batch, assemble
from inference.engine.encoder.bounds import Bounds
from inference.engine.encoder.loaded import Loaded
from inference.engine.encoder.requests import Request
from inference.engine.gate import Gate
from inference.engine.lease import Lease
from inference.engine.messages import Json, Refusal
from inference.engine.settings import Settings
from memory.protocol import Channel, Message

STATUS_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.05  # at the gate, when a batch waits for memory
RETRY_SECONDS = 5
Inbox = queue.SimpleQueue[Request | Message]


class Encoder:
    """Requests take turns, a batch each; rows of others with a place in it go along."""

    def __init__(self, loaded: Loaded, settings: Settings, gate: Gate, channel: Channel) -> None:
        self.inbox: Inbox = queue.SimpleQueue()
        self._loaded, self._settings, self._gate, self._channel = loaded, settings, gate, channel
        self._bounds: Bounds = loaded.bounds
        self._lease = Lease(gate, self._say, grows=settings.lease_grows)
        self._requests: deque[Request] = deque()
        self._served = self._tokens = self._ticks = 0
        self._said_status = 0.0
        self._held_up = self._stopping = False

    def run(self) -> Json:
        """Until the node says stop. Returns what was done in all."""
        while not self._stopping:
            self._ticks += 1
            self._read_inbox()
            self._compute()
            self._status()
        for request in list(self._requests):
            self._fail(request, Refusal(503, "engine_stopped", "The model was unloaded.", retry_after=1))
        return {"requests": self._served, "prompt_tokens": self._tokens, "completion_tokens": 0}

    # the inbox

    def _read_inbox(self) -> None:
        try:
            if not self._requests or self._held_up:
                self._act_on(self.inbox.get(timeout=LOOK_AGAIN_SECONDS if self._requests else STATUS_SECONDS))
            while True:
                self._act_on(self.inbox.get_nowait())
        except queue.Empty:
            pass

    def _act_on(self, message: Request | Message) -> None:
        if isinstance(message, Request):
            self._receive(message)
        elif message["type"] == "abort":
            for request in [one for one in self._requests if one.id == message.get("id")]:
                self._requests.remove(request)
                self._say(messages.aborted(request.id, request.usage))
        elif message["type"] == "lease":
            self._lease.resized(message["bytes"], message["most"])
            self._gate.allows(0)  # what does not fit any more is given back
            self._said_status = 0.0  # its node waits to hear that
        elif message["type"] == "stop":
            self._stopping = True

    def _receive(self, request: Request) -> None:
        try:
            self._require_possible(request)
        except Refusal as refusal:
            self._say(messages.refused(request.id, refusal))
            return
        self._requests.append(request)
        self._say(messages.accepted(request.id, request.usage.prompt_tokens, 0))

    def _require_possible(self, request: Request) -> None:
        """Raises Refusal: 413 if its longest row can never fit, 503 if too many are waiting."""
        if len(self._requests) >= self._settings.max_waiting:
            text = f"{len(self._requests)} requests are waiting already, which is the limit; try again later."
            raise Refusal(503, "queue_full", text, retry_after=RETRY_SECONDS)
        need = self._bounds.forward(1, request.longest)
        available = self._gate.lease - self._gate.base - self._gate.margin
        if need > available and not self._lease.could_be(self._gate.lease_for(need)):
            self._gate.decide("refused", need, tokens=request.longest, standing=self._gate.base)
            raise Refusal(
                413,
                "context_too_large_for_memory",
                f"A text of {request.longest:,} tokens needs {_mib(need)} of memory beside the model, and the model's "
                f"lease leaves {_mib(available)}. Shorten it, or give the model a larger lease.",
                param="input",
            )

    # computing

    def _compute(self) -> None:
        self._held_up = False
        if not self._requests:
            return
        batch = assemble(self._requests, self._bounds, self._gate.room())
        bound = self._bounds.forward(len(batch.rows), batch.length)
        if not self._gate.allows(bound):
            if len(batch.rows) > 1:
                batch = assemble(self._requests, self._bounds, self._gate.room())
                bound = self._bounds.forward(len(batch.rows), batch.length)
            if not self._gate.allows(bound):
                self._wait(self._requests[0], bound, batch.length)
                return
        self._gate.decide("passed")
        self._requests[0].waits_since = None
        self._requests.rotate(-1)
        self._run(batch, bound)

    def _wait(self, request: Request, bound: int, tokens: int) -> None:
        """Its next row does not fit beside what is held: ask for more, and give up when patience has run out."""
        now = time.monotonic()
        request.waits_since = request.waits_since or now
        self._lease.ask(self._gate.lease_for(bound))
        if now - request.waits_since < self._settings.patience:
            self._gate.decide("waited", bound, tokens=tokens)
            self._requests.rotate(-1)  # shorter rows of another may fit
            self._held_up = True
            return
        self._gate.decide("refused", bound, tokens=tokens)
        text = f"A text of {tokens:,} tokens needs {_mib(bound)} of memory, which did not become free in "
        text += f"{self._settings.patience:g} s. Try again in {RETRY_SECONDS} s."
        self._fail(request, Refusal(503, "no_room", text, retry_after=RETRY_SECONDS))

    def _run(self, batch: Batch, bound: int) -> None:
        now = time.monotonic()
        for request, _ in batch.rows:
            request.began = request.began or now
        try:
            with self._gate.measured(bound):
                found = self._loaded.answers(batch)
                mx.eval(found)
            values = np.array(found.astype(mx.float32))
        except Exception as error:  # noqa: BLE001 - the outermost frame of these requests
            traceback.print_exc(file=sys.stderr)
            fault = f"The engine could not go on with this request: {type(error).__name__}: {error}"
            for request in batch.requests:
                self._fail(request, Refusal(500, "engine_error", fault))
            return
        for request in batch.requests:
            at = [place for place, (whose, _) in enumerate(batch.rows) if whose is request]
            self._give(request, [batch.rows[place][1] for place in at], values[at])

    def _give(self, request: Request, numbers: list[int], values: np.ndarray) -> None:
        if not np.isfinite(values).all():
            self._fail(
                request, Refusal(500, "engine_error", "The model's answer is not a number; its weights are damaged.")
            )
            return
        if request.dimensions:
            values = self._loaded.cut(values, request.dimensions)
        data = base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()
        self._say({"phase": "vectors", "id": request.id, "numbers": numbers, "data": data})
        self._tokens += sum(len(request.rows[number]) for number in numbers)
        done = set(numbers)
        request.left = [number for number in request.left if number not in done]
        if not request.left:
            self._requests.remove(request)
            self._served += 1
            self._say(messages.finished(request.id, [], request.usage, request.timings()))

    def _fail(self, request: Request, refusal: Refusal) -> None:
        if request in self._requests:
            self._requests.remove(request)
            self._say(messages.failed(request.id, refusal))

    # what the node sees

    def _say(self, event: Json) -> None:
        self._channel.send("event", **event)

    def _status(self) -> None:
        now = time.monotonic()
        if now - self._said_status < STATUS_SECONDS:
            return
        self._said_status = now
        if not self._requests:
            self._gate.settle()
        for decision in self._gate.decisions.due():
            self._say({"phase": "gate", **decision})
        running = sum(1 for request in self._requests if request.began)
        counts = {"running": running, "waiting": len(self._requests) - running, "prompt_tokens": self._tokens}
        self._say({"phase": "status", "tick": self._ticks, **counts, **self._gate.status()})


def _mib(count: int) -> str:
    return f"{count / 1024**2:,.0f} MiB"
