"""The tick: inbox, prefill, decode, answers. Everything here runs on the one thread that owns MLX."""

import queue
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from inference.engine import messages
from inference.engine.admission import Admission, retry_after
from inference.engine.answers import Answers
from inference.engine.batch import Step
from inference.engine.bunch import Filled
from inference.engine.cache.prefix import PrefixCache
from inference.engine.cohorts import Cohort, Cohorts
from inference.engine.gate import Gate
from inference.engine.lease import Lease
from inference.engine.messages import Json, Refusal
from inference.engine.models import Loaded
from inference.engine.pace import Pace
from inference.engine.prefill import Prefill
from inference.engine.prefilling import Prefilling
from inference.engine.pressure import Pressure
from inference.engine.requests import Request, Sequence
from inference.engine.settings import Settings
from memory.protocol import Channel, Message

STATUS_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.05  # at the gate, when nothing else is left to do
SMOOTHING = 0.2
Inbox = queue.SimpleQueue[Request | Message]


class Engine:
    def __init__(
        self, loaded: Loaded, settings: Settings, gate: Gate, pace: Pace, channel: Channel, *, prefixes: PrefixCache
    ) -> None:
        self.inbox: Inbox = queue.SimpleQueue()
        bounds = loaded.bounds
        self._loaded, self._gate, self._channel, self._prefixes = loaded, gate, channel, prefixes
        self._answers = Answers(self._say, loaded.vocabulary, loaded.eos)
        self._lease = Lease(gate, self._say, grows=settings.lease_grows)
        self._admission = Admission(gate, self._lease, bounds, settings.patience, settings.max_waiting)
        self._prefilling = Prefilling(loaded, bounds, gate, pace, settings.decode_gap, prefixes=prefixes)
        self._cohorts = Cohorts(loaded, bounds, settings.max_sequences)
        self._pressure = Pressure(gate, self._lease, self._admission, self._prefilling, self._cohorts)
        self._requests: dict[str, Request] = {}
        self._served = self._ticks = 0
        self._said_status = 0.0
        self._stopping = False

    def run(self) -> Json:
        """Until the node says stop. Returns what was done in all."""
        while not self._stopping:
            self._tick()
        for request in list(self._requests.values()):
            self._fail(request, Refusal(503, "engine_stopped", "The model was unloaded.", retry_after=1))
        return {
            "requests": self._served,
            "prompt_tokens": self._prefilling.prompt_tokens,
            "completion_tokens": self._answers.completion_tokens,
        }

    def _tick(self) -> None:
        self._ticks += 1
        self._read_inbox()
        self._admit()
        self._prefill()
        self._relieve(self._join() or self._prefilling.held_up)
        self._decode()
        self._answers.flush()
        self._hurry()
        self._cohorts.tidy()
        self._answers.flush()
        self._status()

    # the inbox

    def _read_inbox(self) -> None:
        try:
            if not self._requests:
                self._act_on(self.inbox.get(timeout=STATUS_SECONDS))
            elif self._pressure.stuck or not self._busy:
                self._act_on(self.inbox.get(timeout=LOOK_AGAIN_SECONDS))
            while True:
                self._act_on(self.inbox.get_nowait())
        except queue.Empty:
            pass

    def _act_on(self, message: Request | Message) -> None:
        if isinstance(message, Request):
            self._receive(message)
        elif message["type"] == "abort":
            self._abort(message.get("id", ""))
        elif message["type"] == "lease":
            self._lease.resized(message["bytes"], message["most"])
            self._gate.allows(0)  # what does not fit any more is given back
            self._said_status = 0.0  # its node waits to hear that
        elif message["type"] == "stop":
            self._stopping = True

    def _receive(self, request: Request) -> None:
        if request.id in self._requests:
            self._channel.send("error", message=f"There is a request with the id {request.id!r:.80} already.")
            return
        if request.parameters.probe:
            self._say(messages.probed(request.id, self._prefixes.probe(request.prompt, request.parameters.cache_salt)))
            return
        if self._admission.full:
            self._admit()
        try:
            self._admission.enter(Prefill(request, request.sequences))
        except Refusal as refusal:
            self._say(messages.refused(request.id, refusal))
        else:
            self._requests[request.id] = request

    def _abort(self, id_: str) -> None:
        if request := self._requests.get(id_):
            self._answers.forget(request)
            self._remove(request)
            self._say(messages.aborted(request.id, request.usage))

    # letting in

    def _admit(self) -> None:
        for prefill, refusal in self._admission.impatient(self._until_room()):
            self._refuse(prefill.request, refusal)
        while len(self._admission):
            active = self._prefilling.active
            promised = self._admission.promise(self._holding())
            free = self._cohorts.free - sum(len(prefill.sequences) for prefill in active)
            if next_one := self._admission.next(promised, free):
                self._let_in(next_one)
            elif active or len(self._cohorts) or (not self._admission.reopen() and not self._refuse_first()):
                return

    def _let_in(self, prefill: Prefill) -> None:
        self._prefilling.active.append(prefill)
        self._prefixes.begin(prefill)
        request = prefill.request
        if not request.accepted:
            request.accepted = time.monotonic()
            self._say(messages.accepted(request.id, len(request.prompt), request.max_tokens))

    def _refuse_first(self) -> bool:
        """Nothing is in its way and it does not fit: the lease has shrunk, or it has grown; or the lease may grow."""
        first = next(iter(self._admission))
        try:
            self._admission.require_possible(first)
        except Refusal as refusal:
            self._refuse(first.request, refusal)
            return True
        return False

    @property
    def _busy(self) -> bool:
        return bool(self._prefilling.active or len(self._cohorts))

    def _holding(self) -> Iterable[Sequence]:
        yield from self._cohorts.sequences
        for prefill in self._prefilling.active:
            yield from prefill.sequences

    def _until_room(self) -> int:
        """Seconds until the first of those that decode could end."""
        left = min((sequence.left for sequence in self._cohorts.sequences), default=0)
        return retry_after(left * self._prefilling.step_seconds)

    # prefill

    def _prefill(self) -> None:
        for prefill in self._prefilling.run(self._cohorts.under_way(), bool(len(self._cohorts))):
            if prefill.fault:
                self._fail(prefill.request, _engine_error(prefill.fault))
            elif prefill.remaining:
                self._say(messages.prefilled(prefill.request.id, prefill.done, prefill.total))
            while not self.inbox.empty():
                self._act_on(self.inbox.get())

    def _join(self) -> Prefill | None:
        """Let in who is filled. Returns one that the gate holds up."""
        held_up = None
        for filled in self._prefilling.filled():
            options = self._cohorts.options(filled.held, filled.copies)
            for cohort, needed in options:
                if self._gate.allows(needed):
                    self._start(filled, cohort or self._cohorts.open(), needed)
                    break
            else:
                tokens = max(prefill.total for prefill in filled.prefills)
                self._gate.decide("waited", min(needed for _, needed in options), tokens=tokens)
                held_up = filled.prefills[0]
        return held_up

    def _relieve(self, held_up: Prefill | None) -> None:
        if beyond := self._pressure.relieve(held_up):
            self._fail(beyond, self._pressure.refusal())

    def _start(self, filled: Filled, cohort: Cohort, needed: int) -> None:
        now = time.monotonic()
        for prefill in filled.prefills:
            prefill.request.prefill_ended = prefill.request.prefill_ended or now
            self._prefilling.active.remove(prefill)
        try:
            with self._gate.measured(needed):
                cohort.join(filled.sequences, filled.take(self._loaded), dense=filled.dense)
        except Exception as error:  # noqa: BLE001 - the outermost frame of these requests
            traceback.print_exc(file=sys.stderr)
            self._lose(cohort, f"{type(error).__name__}: {error}", *filled.sequences)

    # decode

    def _decode(self) -> None:
        began = time.monotonic()
        for cohort in self._cohorts:
            self._step(cohort)
        taken = time.monotonic() - began
        pace = self._prefilling
        pace.step_seconds += SMOOTHING * (taken - pace.step_seconds)

    def _step(self, cohort: Cohort) -> None:
        if beyond := self._pressure.make_room(cohort):
            self._fail(beyond, self._pressure.refusal())
        if cohort.size:
            self._give(cohort, cohort.step)

    def _hurry(self) -> None:
        """Wait for newcomers' first tokens now, not when their cohort's next step was built, or a chunk of another
        prompt computed before it. Where others decode with them and nothing is to be filled, that step comes first."""
        for cohort in self._cohorts:
            newcomers = cohort.newcomers
            if newcomers and (newcomers == cohort.size or self._prefilling.pending):
                self._give(cohort, cohort.firsts)

    def _give(self, cohort: Cohort, tokens: Callable[[], Iterator[Step]]) -> None:
        try:
            steps = list(tokens())
        except Exception as error:  # noqa: BLE001 - the outermost frame of these requests
            traceback.print_exc(file=sys.stderr)
            self._lose(cohort, f"{type(error).__name__}: {error}")
        else:
            self._take(cohort, steps)

    def _take(self, cohort: Cohort, steps: list[Step]) -> None:
        for step in steps:
            request = step.sequence.request
            if step.sequence.fault and not request.ended:
                self._fail(request, _engine_error(step.sequence.fault))
            elif not request.ended:
                request.first_token = request.first_token or time.monotonic()
                self._answers.take(step)
        ended = [step.sequence for step in steps if step.sequence.reason]
        for sequence in ended:
            if not sequence.fault:
                self._prefixes.finished(sequence, partial(cohort.cache_of, sequence))
        cohort.drop(ended)
        for request in {id(sequence.request): sequence.request for sequence in ended}.values():
            if all(sequence.reason for sequence in request.sequences) and not request.ended:
                self._finish(request)

    def _lose(self, cohort: Cohort, fault: str, *newcomers: Sequence) -> None:
        self._cohorts.discard(cohort)
        for sequence in {*cohort.sequences, *newcomers}:
            if not sequence.request.ended:
                self._fail(sequence.request, _engine_error(fault))

    # endings

    def _finish(self, request: Request) -> None:
        self._remove(request)
        self._served += 1
        self._answers.finish(request)

    def _refuse(self, request: Request, refusal: Refusal) -> None:
        if request.accepted:
            self._fail(request, refusal)
            return
        self._remove(request)
        self._say(messages.refused(request.id, refusal))

    def _fail(self, request: Request, refusal: Refusal) -> None:
        self._remove(request)
        self._answers.fail(request, refusal)

    def _remove(self, request: Request) -> None:
        request.ended = True
        self._requests.pop(request.id, None)
        self._admission.reopen()
        for waiting in [one for one in self._admission if one.request is request]:
            self._admission.leave(waiting)
        self._prefilling.active = [one for one in self._prefilling.active if one.request is not request]
        for cohort in self._cohorts:
            cohort.drop(request.sequences)

    # what the node sees

    def _say(self, event: Json) -> None:
        self._channel.send("event", **event)

    def _status(self) -> None:
        now = time.monotonic()
        if now - self._said_status < STATUS_SECONDS:
            return
        self._said_status = now
        if self._requests:
            steps = [self._cohorts.step_bytes(cohort) for cohort in self._cohorts]
            self._admission.look_ahead(self._holding(), max(steps, default=0))
        else:
            self._gate.settle()
        for decision in self._gate.decisions.due():
            self._say({"phase": "gate", **decision})
        self._say({"phase": "status", "tick": self._ticks, **self._counts(), **self._gate.status()})

    def _counts(self) -> Json:
        return {
            "running": len(self._cohorts.sequences),
            "prefilling": len(self._prefilling.active),
            "waiting": len(self._admission),
            "cohorts": len(self._cohorts),
            "promised_bytes": self._admission.promise(self._holding()),
            "prompt_tokens": self._prefilling.prompt_tokens,
            "completion_tokens": self._answers.completion_tokens,
            "chunk_tokens": self._prefilling.chunk_tokens,
            "cache": self._prefixes.figures(),
        }


def _engine_error(fault: str | Refusal) -> Refusal:
    if isinstance(fault, Refusal):
        return fault
    return Refusal(500, "engine_error", f"The engine could not go on with this request: {fault}")
