"""A request and its sequences: what was asked, how far it is, and what was said about it. No MLX here."""

import time
from dataclasses import dataclass, field
from typing import Any

from inference.engine.detokenise import Detokeniser
from inference.engine.guides.guide import Guide
from inference.engine.messages import Refusal, Timings, Usage
from inference.engine.parameters import Parameters
from inference.engine.speech.pieces import Piece
from inference.engine.speech.speech import Speech
from inference.engine.stopping import StopMatcher


@dataclass(slots=True, eq=False)
class Sequence:
    """One choice of a request. `tokens` is the prompt and all that was generated; without a guide any token may
    come."""

    request: "Request"
    index: int
    tokens: list[int]
    text: Detokeniser
    speech: Speech
    stops: StopMatcher
    guide: Guide | None = None
    generated: int = 0
    score: float = 0.0  # the sum of its logprobs, if they are asked for
    thought: int = 0  # tokens of those that were generated
    reason: str | None = None
    stopped_by: str | int | None = None
    fault: str | Refusal = ""  # set when its own sampler, processors or guide failed
    pieces: list[Piece] = field(default_factory=list)  # all that it said, if it is not streamed
    logprobs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def length(self) -> int:
        return len(self.tokens)

    @property
    def left(self) -> int:
        """Tokens it may still generate."""
        return self.request.max_tokens - self.generated


@dataclass(slots=True, eq=False)
class Request:
    """`prompt` is token ids; `max_tokens` per choice, resolved; times are monotonic seconds."""

    id: str
    kind: str
    prompt: list[int]
    parameters: Parameters
    max_tokens: int
    arrived: float
    strip_space: bool = False
    sequences: list[Sequence] = field(default_factory=list)
    accepted: float = 0.0
    points: tuple[int, ...] = ()  # token counts after which a later prompt may go on differently
    cached_tokens: int = 0  # of the prompt, that were not computed again
    prefill_began: float = 0.0
    prefill_ended: float = 0.0
    first_token: float = 0.0
    ended: bool = False

    @property
    def usage(self) -> Usage:
        generated = sum(sequence.generated for sequence in self.sequences)
        thought = sum(sequence.thought for sequence in self.sequences)
        return Usage(len(self.prompt), generated, self.cached_tokens, thought)

    def timings(self) -> Timings:
        now = time.monotonic()
        began = self.prefill_began or now
        ended = self.prefill_ended or now
        first = self.first_token or now
        return Timings(began - self.arrived, ended - began, first - self.arrived, now - ended, now - self.arrived)
