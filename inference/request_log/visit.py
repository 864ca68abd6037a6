"""One request on its way through the API: what is found out about it, for its row in the request log."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from inference.keys.meter import Headers, Standing, holding
from inference.models import ApiKey

CLIENT_GONE = 499  # nginx's number; nobody is there to be sent it


@dataclass(slots=True)
class Visit:
    """Seconds count from when the request came. `held` while its end is to be told to the key's meter."""

    method: str
    path: str
    request_id: str = field(default_factory=lambda: f"req_{uuid.uuid4().hex}")
    at: datetime = field(default_factory=timezone.now)
    began: float = field(default_factory=time.monotonic)
    endpoint: str = ""
    key: ApiKey | None = None
    standing: Standing = field(default_factory=Standing)
    held: bool = False
    model: str = ""
    streamed: bool = False
    status: int = 0
    code: str = ""
    complete: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    queue_seconds: float | None = None
    first_token_seconds: float | None = None
    decode_seconds: float = 0.0
    seconds: float = 0.0
    body: str = ""

    @property
    def headers(self) -> Headers:
        return self.standing.headers

    async def admit(self, key: ApiKey, *, counted: bool) -> None:
        """Count it against the key's limits. Raises RateLimited."""
        self.key = key
        if not key.limited:
            return
        self.standing = await holding.take(key, counted=counted)
        if self.standing.refusal:
            raise self.standing.refusal
        self.held = counted

    async def settle(self) -> None:
        """The work is done, though the answer may not have left: the key may ask the next thing."""
        if self.held and self.key is not None:
            self.held = False
            await holding.settle(self.key, self.prompt_tokens + self.completion_tokens)

    def accepted(self, prompt_tokens: int) -> None:
        """An engine took a prompt."""
        self.queue_seconds = time.monotonic() - self.began
        self.prompt_tokens += prompt_tokens

    def gave(self, tokens: int) -> None:
        """An engine sent so many tokens more; what `finished` says later holds instead."""
        if self.first_token_seconds is None and tokens:
            self.first_token_seconds = time.monotonic() - self.began
        self.completion_tokens += tokens

    def finished(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Every engine request that this one became has ended: its own figures."""
        usages = [event["usage"] for event in events]
        timings = [event.get("timings") or {} for event in events]
        self.prompt_tokens = sum(int(usage.get("prompt_tokens") or 0) for usage in usages)
        self.completion_tokens = sum(int(usage.get("completion_tokens") or 0) for usage in usages)
        self.cached_tokens = sum(int(usage.get("cached_tokens") or 0) for usage in usages)
        self.decode_seconds = max((float(one.get("decode") or 0) for one in timings), default=0.0)
        waited = self.queue_seconds or 0.0
        if self.first_token_seconds is None and any("first_token" in one for one in timings):
            self.first_token_seconds = waited + min(float(one.get("first_token") or 0) for one in timings)
        self.queue_seconds = waited + max((float(one.get("queued") or 0) for one in timings), default=0.0)

    @property
    def tokens_per_second(self) -> float | None:
        """After the first token, which prefill pays for."""
        if self.decode_seconds <= 0 or self.completion_tokens <= 1:
            return None
        return (self.completion_tokens - 1) / self.decode_seconds


_current: ContextVar[Visit | None] = ContextVar("visit", default=None)


def current_visit() -> Visit | None:
    """The request that this code works for, if it is one of the API."""
    return _current.get()


def current_key() -> ApiKey | None:
    visit = _current.get()
    return visit.key if visit else None


@contextmanager
def visiting(method: str, path: str) -> Iterator[Visit]:
    visit = Visit(method, path)
    token = _current.set(visit)
    try:
        yield visit
    finally:
        _current.reset(token)
