"""A request and its sequences: what was asked, how far it is, and what was said about it. No MLX here."""

import time
from dataclasses import dataclass, field
from typing import Any

from inference.engine.detokenise import Detokeniser
from inference.engine.messages import Timings, Usage
from inference.engine.parameters import Parameters
from inference.engine.stopping import StopMatcher


@dataclass(slots=True, eq=False)
class Sequence:
    """One choice of a request. `tokens` is the prompt and all that was generated."""

    request: "Request"
    index: int
    tokens: list[int]
    text: Detokeniser
    stops: StopMatcher
    generated: int = 0
    reason: str | None = None
    stopped_by: str | int | None = None
    fault: str = ""  # set when its own sampler or processors failed
    parts: list[str] = field(default_factory=list)
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
        return Usage(len(self.prompt), sum(sequence.generated for sequence in self.sequences), self.cached_tokens)

    def timings(self) -> Timings:
        now = time.monotonic()
        began = self.prefill_began or now
        ended = self.prefill_ended or now
        first = self.first_token or now
        return Timings(began - self.arrived, ended - began, first - self.arrived, now - ended, now - self.arrived)
