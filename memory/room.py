"""Who gives memory back when more is wanted, or was promised, than there is; and in which order they are asked."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import IntEnum

import structlog

log = structlog.get_logger(__name__)


class Priority(IntEnum):
    """The order in which holders are asked."""

    SHRINK = 1  # elastic holders give back what they do not use
    EVICT = 2  # idle holders end, the longest unused first
    STOP = 3  # busy holders end, the youngest first


@dataclass(frozen=True, slots=True)
class Shortage:
    """Bytes that have to be given back, and the kind and holder of the worker that waits for them, if one does."""

    bytes: int
    kind: str = ""
    holder: str = ""


# Sets going what frees memory and returns, without waiting for it, the bytes of leases that will be given back: also
# those it set going earlier and that are not released yet.
MakeRoom = Callable[[Shortage], Awaitable[int]]


class RoomMakers:
    """The holders that can give memory back, as the apps registered them. For the event loop."""

    def __init__(self) -> None:
        self._makers: list[tuple[Priority, MakeRoom]] = []
        self._asking = asyncio.Lock()

    def register(self, priority: Priority, make_room: MakeRoom) -> Callable[[], None]:
        """Ask `make_room` when its turn comes. Returns what takes it off the list again."""
        entry = (priority, make_room)
        self._makers = sorted([*self._makers, entry], key=lambda one: one[0])
        return lambda: self._makers.remove(entry)

    async def make_room(self, shortage: Shortage, up_to: Priority) -> int:
        """Ask in order until enough is on its way, and nobody beyond `up_to`. Returns the bytes on their way."""
        coming = 0
        async with self._asking:
            for priority, make_room in list(self._makers):
                if priority > up_to or coming >= shortage.bytes:
                    break
                coming += await _ask(make_room, replace(shortage, bytes=shortage.bytes - coming))
        return coming


async def _ask(make_room: MakeRoom, shortage: Shortage) -> int:
    """A holder that breaks gives nothing back, and does not keep the next from being asked."""
    (answer,) = await asyncio.gather(make_room(shortage), return_exceptions=True)
    if isinstance(answer, asyncio.CancelledError):
        return 0
    if isinstance(answer, BaseException):
        log.error("room_maker_failed", message="It was asked to give memory back, and broke.", exc_info=answer)
        return 0
    return answer
