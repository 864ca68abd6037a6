"""From tokens to what the node is told about them."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from inference.engine import messages
from inference.engine.batch import Step
from inference.engine.detokenise import Vocabulary
from inference.engine.messages import Json, Refusal
from inference.engine.requests import Request, Sequence
from inference.engine.sampling import top_logprobs

Say = Callable[[Json], None]
LEAST_LOGPROB = -9999.0  # OpenAI's stand-in for minus infinity, which JSON does not have


class Answers:
    """Collects what one tick gave to every streamed request and says it in one line."""

    def __init__(self, say: Say, vocabulary: Vocabulary, eos: frozenset[int]) -> None:
        self._say, self._vocabulary, self._eos = say, vocabulary, eos
        self._deltas: dict[int, Json] = {}
        self.completion_tokens = 0

    def take(self, step: Step) -> None:
        """Add a token to its sequence; sets the sequence's `reason` when this was its last."""
        sequence, token = step.sequence, step.token
        sequence.tokens.append(token)
        sequence.generated += 1
        self.completion_tokens += 1
        text = self._text(sequence, token)
        logprobs = None if step.logprobs is None else self._logprobs(step, step.logprobs)
        self._keep(sequence, text, logprobs)

    def finish(self, request: Request) -> None:
        self.flush()
        whole = not request.parameters.stream
        choices = [_choice(sequence, whole) for sequence in request.sequences]
        self._say(messages.finished(request.id, choices, request.usage, request.timings()))

    def fail(self, request: Request, refusal: Refusal) -> None:
        self.flush()
        self._say(messages.failed(request.id, refusal))

    def flush(self) -> None:
        ready = {key: delta for key, delta in self._deltas.items() if _worth_saying(delta)}
        if ready:
            self._deltas = {key: delta for key, delta in self._deltas.items() if key not in ready}
            self._say({"phase": "deltas", "deltas": list(ready.values())})

    def forget(self, request: Request) -> None:
        """Nothing more is said of a request that was aborted."""
        for sequence in request.sequences:
            self._deltas.pop(id(sequence), None)

    def _text(self, sequence: Sequence, token: int) -> str:
        if token in self._eos and not sequence.request.parameters.ignore_eos:
            return self._end(sequence, "stop", token)
        text = sequence.stops.feed(sequence.text.add(token))
        if sequence.stops.matched is not None:
            sequence.reason, sequence.stopped_by = "stop", sequence.stops.matched
        elif sequence.left <= 0:
            text += self._end(sequence, "length", None)
        return text

    def _end(self, sequence: Sequence, reason: str, by: int | None) -> str:
        text = sequence.stops.feed(sequence.text.finish())
        sequence.reason, sequence.stopped_by = reason, by
        if sequence.stops.matched is not None:
            sequence.reason, sequence.stopped_by = "stop", sequence.stops.matched
        return text + sequence.stops.flush()

    def _keep(self, sequence: Sequence, text: str, logprobs: Json | None) -> None:
        if not sequence.request.parameters.stream:
            sequence.parts.append(text)
            if logprobs is not None:
                sequence.logprobs.append(logprobs)
            return
        delta = self._deltas.get(id(sequence))
        if delta is None:
            delta = {"id": sequence.request.id, "index": sequence.index, "text": "", "tokens": 0}
            self._deltas[id(sequence)] = delta
        delta["text"] += text
        delta["tokens"] += 1
        if logprobs is not None:
            delta.setdefault("logprobs", []).append(logprobs)
        if sequence.reason is not None:
            delta["reason"] = sequence.reason

    def _logprobs(self, step: Step, logprobs: mx.array) -> Json:
        top = top_logprobs(logprobs, step.sequence.request.parameters.top_logprobs)
        chosen = float(logprobs[step.token].item())
        return {**self._token(step.token, chosen), "top": [self._token(token, value) for token, value in top]}

    def _token(self, token: int, logprob: float) -> dict[str, Any]:
        spelt = self._vocabulary.bytes_of(token)
        return {
            "token": spelt.decode(errors="replace"),
            "id": token,
            "logprob": max(logprob, LEAST_LOGPROB),
            "bytes": list(spelt),
        }


def _worth_saying(delta: Json) -> bool:
    """Until there is text, a token is said together with the one that completes it."""
    return bool(delta["text"]) or "reason" in delta or "logprobs" in delta


def _choice(sequence: Sequence, whole: bool) -> Json:
    choice: Json = {"index": sequence.index, "reason": sequence.reason, "tokens": sequence.generated}
    if sequence.stopped_by is not None:
        choice["stop"] = sequence.stopped_by
    if whole:
        choice["text"] = "".join(sequence.parts)
        if sequence.request.parameters.logprobs:
            choice["logprobs"] = sequence.logprobs
    return choice
