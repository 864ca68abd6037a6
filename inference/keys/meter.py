"""A limited key's minute, day and running requests. The count is a row of the database, so that it holds in every site
process and over a restart; a key without limits costs nothing. A minute and a day begin with the clock's, in UTC.

Tokens are counted when an answer ends: a key may pass its tokens by what was running, and is then refused.
"""

import asyncio
import math
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from asgiref.sync import sync_to_async
from django.db import transaction

from fmlx_site.errors import FmlxError
from inference.models import ApiKey, KeyMeter

PERIODS = {"minute": 60, "day": 86_400}
PROCESS = uuid.uuid4().hex[:12]
SAID_SECONDS = 10.0  # a process says so often that its requests run
STALE_SECONDS = 30.0  # and is taken for dead when it did not for so long
Headers = dict[str, str]


class RateLimited(FmlxError):
    """`type` is what there is too much of, as OpenAI has it: requests or tokens."""

    status, type, code = 429, "rate_limit_error", "rate_limit_exceeded"

    def __init__(self, what: str, message: str, seconds: float) -> None:
        super().__init__(message, retry_after=max(1, math.ceil(seconds)))
        self.type = what


@dataclass(frozen=True, slots=True)
class Limit:
    """One of a key's limits in its running period, which ends in `resets` seconds."""

    what: str
    period: str
    most: int
    used: int
    resets: float

    @property
    def left(self) -> int:
        return max(0, self.most - self.used)

    def refusal(self) -> RateLimited:
        text = f"This key may use {self.most} {self.what} a {self.period} and has used {self.used}."
        return RateLimited(self.what, f"{text} Try again in {duration(self.resets)}.", self.resets)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a key stands: the headers that say so, and why it is refused if it is."""

    headers: Headers = field(default_factory=dict)
    refusal: RateLimited | None = None


def take(key: ApiKey, *, counted: bool) -> Standing:
    """Count one more request that begins, unless a limit is reached; without `counted` only look."""
    now = time.time()
    with transaction.atomic():
        meter = _meter(key, now)
        refusal = _refusal(key, meter, now) if counted else None
        if counted and refusal is None:
            for period in PERIODS:
                _add(meter, period, "requests", 1)
            _run(meter, 1, now)
            meter.save()
        headers = dict(_headers(_limits(key, meter, now)))
    return Standing(headers, refusal)


def settle(key: ApiKey, tokens: int) -> None:
    """A request ended and used so many tokens."""
    now = time.time()
    with transaction.atomic():
        meter = _meter(key, now)
        for period in PERIODS:
            _add(meter, period, "tokens", tokens)
        _run(meter, -1, now)
        meter.save()


def used_now(key: ApiKey) -> list[Limit]:
    now = time.time()
    meter = KeyMeter.objects.filter(key=key).first() or KeyMeter(key=key)
    _roll(meter, now)
    return list(_limits(key, meter, now))


def running_now(key: ApiKey) -> int:
    meter = KeyMeter.objects.filter(key=key).first()
    return _running(meter, time.time()) if meter else 0


def _meter(key: ApiKey, now: float) -> KeyMeter:
    """Locked by this transaction; on SQLite every transaction is alone."""
    meter = KeyMeter.objects.select_for_update().filter(key_id=key.pk).first()
    if meter is None:
        KeyMeter.objects.get_or_create(key_id=key.pk)
        meter = KeyMeter.objects.select_for_update().get(key_id=key.pk)
    _roll(meter, now)
    return meter


def _roll(meter: KeyMeter, now: float) -> None:
    for period, seconds in PERIODS.items():
        if getattr(meter, period) != (current := int(now // seconds)):
            setattr(meter, period, current)
            setattr(meter, f"{period}_requests", 0)
            setattr(meter, f"{period}_tokens", 0)


def _add(meter: KeyMeter, period: str, what: str, count: int) -> None:
    setattr(meter, f"{period}_{what}", getattr(meter, f"{period}_{what}") + count)


def _run(meter: KeyMeter, change: int, now: float) -> None:
    own = max(0, meter.running.get(PROCESS, [0, now])[0] + change)
    meter.running = {name: said for name, said in meter.running.items() if now - said[1] < STALE_SECONDS}
    meter.running[PROCESS] = [own, now]
    if not own:
        del meter.running[PROCESS]


def _running(meter: KeyMeter, now: float) -> int:
    return sum(count for count, at in meter.running.values() if now - at < STALE_SECONDS)


def _limits(key: ApiKey, meter: KeyMeter, now: float) -> Iterator[Limit]:
    for what in ("requests", "tokens"):
        for period, seconds in PERIODS.items():
            if (most := getattr(key, f"{what}_per_{period}")) is not None:
                yield Limit(what, period, most, getattr(meter, f"{period}_{what}"), seconds - now % seconds)


def _refusal(key: ApiKey, meter: KeyMeter, now: float) -> RateLimited | None:
    reached = [limit for limit in _limits(key, meter, now) if not limit.left]
    if reached:
        return max(reached, key=lambda limit: limit.resets).refusal()
    if key.concurrent_requests is not None and _running(meter, now) >= key.concurrent_requests:
        text = f"This key may have {key.concurrent_requests} requests at one time, and that many are running."
        return RateLimited("requests", f"{text} Try again when one has ended.", 1)
    return None


def _headers(limits: Iterator[Limit]) -> Iterator[tuple[str, str]]:
    """OpenAI's names. Of a minute and a day, the one with less left."""
    tightest: dict[str, Limit] = {}
    for limit in limits:
        if limit.what not in tightest or limit.left < tightest[limit.what].left:
            tightest[limit.what] = limit
    for what, limit in tightest.items():
        yield f"x-ratelimit-limit-{what}", str(limit.most)
        yield f"x-ratelimit-remaining-{what}", str(limit.left)
        yield f"x-ratelimit-reset-{what}", duration(limit.resets)


def duration(seconds: float) -> str:
    """As OpenAI writes it: `8s`, `6m0s`, `1h0m0s`."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"


class Holding:
    """The limited keys whose requests run in this process, said again while they do."""

    def __init__(self) -> None:
        self._held: Counter[int] = Counter()
        self._saying: asyncio.Task[None] | None = None

    async def take(self, key: ApiKey, *, counted: bool) -> Standing:
        standing = await sync_to_async(take)(key, counted=counted)
        if counted and standing.refusal is None:
            self._held[key.pk] += 1
            if self._saying is None or self._saying.done():
                self._saying = asyncio.create_task(self._say())
        return standing

    async def settle(self, key: ApiKey, tokens: int) -> None:
        self._held[key.pk] -= 1
        await sync_to_async(settle)(key, tokens)

    async def _say(self) -> None:
        while +self._held:
            await asyncio.sleep(SAID_SECONDS)
            await sync_to_async(_say_running)(dict(+self._held))


def _say_running(held: dict[int, int]) -> None:
    now = time.time()
    for pk, count in held.items():
        with transaction.atomic():
            meter = KeyMeter.objects.select_for_update().filter(key_id=pk).first()
            if meter:
                meter.running[PROCESS] = [count, now]
                meter.save(update_fields=["running"])


holding = Holding()
