"""When leases come to more than there is, because others took memory: who is asked to give way, and when."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import structlog

from memory.room import Priority, RoomMakers, Shortage
from memory.sentences import say
from memory.timeline import What

log = structlog.get_logger(__name__)
# A worker that is asked is gone within 5 s (workers.STOP_SECONDS, twice, and its processes); then its lease is too.
ANSWER_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Bytes: what is promised, and the best that ceiling and cap were for a while, so that no flap counts."""

    leased: int
    ceiling: int
    cap: int


class Relief:
    """Above the ceiling nothing more is promised and elastic holders are asked to shrink. Above the cap, where even
    all that the system could take back from its caches would not do, idle holders end and then the youngest busy ones.
    """

    def __init__(self, makers: RoomMakers, note: Callable[..., Awaitable[None]]) -> None:
        """`note` puts an event on the timeline: `LocalNode.note`."""
        self._makers, self._note = makers, note
        self._ask_at = 0.0

    async def look(self, standing: Standing) -> None:
        now = time.monotonic()
        if standing.leased <= standing.ceiling or now < self._ask_at:
            return
        self._ask_at = now + ANSWER_SECONDS
        over_cap = standing.leased > standing.cap
        missing = standing.leased - (standing.cap if over_cap else standing.ceiling)
        coming = await self._makers.make_room(Shortage(missing), Priority.STOP if over_cap else Priority.SHRINK)
        text = say("promised_too_much", leased=standing.leased, missing=missing, coming=coming)
        figures = {**asdict(standing), "missing": missing, "coming": coming}
        log.warning("promised_too_much", message=text, **figures)
        await self._note(What.SHORT, bytes=missing, message=text, figures=figures)
