"""What engines' gates decided, as events: one a minute for each engine and kind of decision. Synchronous."""

import time
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from memory.models import Event
from memory.sentences import Sentence, parts_of, say
from memory.timeline import What, count, record

SPAN_SECONDS = 60.0
FIGURES = ("need_bytes", "bound_bytes", "lease_bytes", "tokens")
PREFIX = "gate_"  # of a tally's name


@dataclass(slots=True)
class _Written:
    event: int
    times: int
    until: float


class Decisions:
    """Those of one lease."""

    def __init__(self, node_id: int, kind: str, holder: str, lease: int) -> None:
        self._node_id, self._who, self._lease = node_id, {"kind": kind, "holder": holder}, lease
        self._written: dict[str, _Written] = {}
        self._passed = 0

    def tell(self, said: dict[str, Any]) -> None:
        """`said` is what the engine said: `decision`, `times`, and the figures of the last time."""
        decision, times = str(said["decision"])[:8], max(1, int(said.get("times", 1)))
        with transaction.atomic():
            count(self._node_id, PREFIX + decision, times)
            self._write(decision, times, {name: int(said.get(name) or 0) for name in FIGURES})

    def passed(self, total: int) -> None:
        """So many passed since the engine began: counted, and no event."""
        if total > self._passed:
            count(self._node_id, f"{PREFIX}passed", total - self._passed)
            self._passed = total

    def _write(self, decision: str, times: int, figures: dict[str, int]) -> None:
        written = self._written.get(decision)
        if written and time.monotonic() < written.until:
            written.times += times
            fields = self._fields(decision, written.times, figures)
            if Event.objects.filter(pk=written.event).update(said=parts_of(fields["message"]), **fields):
                return
        fields = self._fields(decision, times, figures)
        event = record(self._node_id, What.GATE, lease=self._lease, **self._who, **fields)
        self._written[decision] = _Written(event.pk, times, time.monotonic() + SPAN_SECONDS)

    def _fields(self, decision: str, times: int, figures: dict[str, int]) -> dict[str, Any]:
        return {
            "message": self._sentence(decision, times, figures),
            "bytes": figures["need_bytes"],
            "figures": {"decision": decision, "times": times, **figures},
        }

    def _sentence(self, decision: str, times: int, figures: dict[str, int]) -> Sentence:
        held = {"need": figures["need_bytes"], "lease": figures["lease_bytes"]}
        return say(f"{PREFIX}{decision}", holder=self._who["holder"], times=times, **held)
