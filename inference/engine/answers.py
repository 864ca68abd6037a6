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
from inference.engine.speech.pieces import Arguments, Called, Piece, Said, Thought
from inference.engine.speech.speech import State

Say = Callable[[Json], None]
SPOKEN = {State.START, State.TEXT}
LEAST_LOGPROB = -9999.0  # OpenAI's stand-in for minus infinity, which JSON does not have


class Answers:
    """Collects what one tick gave to every streamed request and says it in one line."""

    def __init__(self, say: Say, vocabulary: Vocabulary, eos: frozenset[int]) -> None:
        self._say, self._vocabulary, self._eos = say, vocabulary, eos
        self._deltas: dict[int, list[Json]] = {}
        self.completion_tokens = 0

    def take(self, step: Step) -> None:
        """Add a token to its sequence; sets the sequence's `reason` when this was its last."""
        sequence, token = step.sequence, step.token
        sequence.tokens.append(token)
        sequence.generated += 1
        self.completion_tokens += 1
        before = sequence.speech.state
        pieces = self._pieces(sequence, token)
        after = sequence.speech.state
        sequence.thought += State.THOUGHT in (before, after)
        logprobs = None
        if step.logprobs is not None:
            sequence.score += float(step.logprobs[token].item())
            if sequence.request.parameters.logprobs and {before, after} <= SPOKEN:
                logprobs = self._logprobs(step, step.logprobs)
        self._keep(sequence, pieces, logprobs)

    def finish(self, request: Request) -> None:
        self.flush()
        whole = not request.parameters.stream
        choices = [_choice(sequence, index, whole) for index, sequence in enumerate(_given(request))]
        self._say(messages.finished(request.id, choices, request.usage, request.timings()))

    def fail(self, request: Request, refusal: Refusal) -> None:
        self.flush()
        self._say(messages.failed(request.id, refusal))

    def flush(self) -> None:
        ready = {key: deltas for key, deltas in self._deltas.items() if _worth_saying(deltas[-1])}
        if ready:
            self._deltas = {key: deltas for key, deltas in self._deltas.items() if key not in ready}
            self._say({"phase": "deltas", "deltas": [delta for deltas in ready.values() for delta in deltas]})

    def forget(self, request: Request) -> None:
        """Nothing more is said of a request that was aborted."""
        for sequence in request.sequences:
            self._deltas.pop(id(sequence), None)

    def _pieces(self, sequence: Sequence, token: int) -> list[Piece]:
        """What the token adds; the sequence's `reason` is set when nothing more comes."""
        if token in self._eos and not sequence.request.parameters.ignore_eos:
            return self._end(sequence, "stop", token)
        pieces = _until_stop(sequence, sequence.speech.feed(sequence.text.add(token)))
        if sequence.stops.matched is not None:
            sequence.reason, sequence.stopped_by = "stop", sequence.stops.matched
        elif sequence.speech.over:
            sequence.reason = "tool_calls"
        elif sequence.left <= 0:
            pieces += self._end(sequence, "length", None)
        return pieces

    def _end(self, sequence: Sequence, reason: str, by: int | None) -> list[Piece]:
        last = sequence.speech.feed(sequence.text.finish()) + sequence.speech.finish()
        pieces = _until_stop(sequence, last)
        sequence.reason, sequence.stopped_by = reason, by
        if sequence.stops.matched is not None:
            sequence.reason, sequence.stopped_by = "stop", sequence.stops.matched
        elif held := sequence.stops.flush():
            pieces.append(Said(held))
        if sequence.reason == "stop" and sequence.stops.matched is None and sequence.speech.calls:
            sequence.reason = "tool_calls"
        return pieces

    def _keep(self, sequence: Sequence, pieces: list[Piece], logprobs: Json | None) -> None:
        if not sequence.request.parameters.stream:
            sequence.pieces += pieces
            if logprobs is not None:
                sequence.logprobs.append(logprobs)
            return
        deltas = self._deltas.setdefault(id(sequence), [])
        if not deltas:
            deltas.append(_new(sequence))
        for piece in pieces:
            if not add(piece, deltas[-1]):
                deltas.append(_new(sequence))
                add(piece, deltas[-1])
        delta = deltas[-1]
        delta["tokens"] += 1
        if logprobs is not None:
            delta.setdefault("logprobs", []).append(logprobs)
        if sequence.reason is not None:
            delta["reason"] = sequence.reason
            if sequence.speech.warning:
                delta["warning"] = sequence.speech.warning

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


def _until_stop(sequence: Sequence, pieces: list[Piece]) -> list[Piece]:
    """Stop texts are looked for in what is said, not in thoughts and calls; a call ends what could become one."""
    shown: list[Piece] = []
    for piece in pieces:
        if sequence.stops.matched is not None:
            break
        if isinstance(piece, Said):
            if text := sequence.stops.feed(piece.text):
                shown.append(Said(text))
            continue
        if held := sequence.stops.flush():
            shown.append(Said(held))
        shown.append(piece)
    return shown


def _new(sequence: Sequence) -> Json:
    return {"id": sequence.request.id, "index": sequence.index, "text": "", "tokens": 0}


def add(piece: Piece, delta: Json) -> bool:
    """Put a piece into a delta; False if it would not be in its order there."""
    if isinstance(piece, Thought):
        if delta["text"] or "tool_calls" in delta:
            return False
        delta["reasoning"] = delta.get("reasoning", "") + piece.text
    elif isinstance(piece, Said):
        if "tool_calls" in delta:
            return False
        delta["text"] += piece.text
    elif isinstance(piece, Called):
        begun = {"index": piece.index, "id": piece.id, "name": piece.name, "arguments": ""}
        delta.setdefault("tool_calls", []).append(begun)
    else:
        calls = delta.setdefault("tool_calls", [])
        if not calls or calls[-1]["index"] != piece.index:
            calls.append({"index": piece.index, "arguments": ""})
        calls[-1]["arguments"] += piece.text
    return True


def _worth_saying(delta: Json) -> bool:
    """Until there is text, a token is said together with the one that completes it."""
    return bool(delta["text"]) or not delta.keys().isdisjoint(("reasoning", "tool_calls", "reason", "logprobs"))


def _given(request: Request) -> list[Sequence]:
    """All choices, or the likeliest by token."""
    if request.parameters.width == request.parameters.n:
        return request.sequences
    ranked = sorted(request.sequences, key=lambda one: one.score / max(one.generated, 1), reverse=True)
    return ranked[: request.parameters.n]


def _choice(sequence: Sequence, index: int, whole: bool) -> Json:
    choice: Json = {"index": index, "reason": sequence.reason, "tokens": sequence.generated}
    if sequence.stopped_by is not None:
        choice["stop"] = sequence.stopped_by
    if sequence.speech.warning:
        choice["warning"] = sequence.speech.warning
    if whole:
        choice |= _whole(sequence.pieces)
        if sequence.request.parameters.logprobs:
            choice["logprobs"] = sequence.logprobs
    return choice


def _whole(pieces: list[Piece]) -> Json:
    thought = "".join(piece.text for piece in pieces if isinstance(piece, Thought))
    text = "".join(piece.text for piece in pieces if isinstance(piece, Said))
    calls = [{"id": piece.id, "name": piece.name, "arguments": ""} for piece in pieces if isinstance(piece, Called)]
    for piece in pieces:
        if isinstance(piece, Arguments):
            calls[piece.index]["arguments"] += piece.text
    return {"text": text, **({"reasoning": thought} if thought else {}), **({"tool_calls": calls} if calls else {})}
