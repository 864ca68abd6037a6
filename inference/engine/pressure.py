"""When memory runs out under requests that were let in: who gives way to whom."""

import time

from inference.engine.admission import Admission
from inference.engine.cohorts import Cohort, Cohorts
from inference.engine.gate import Gate
from inference.engine.lease import Lease
from inference.engine.messages import Refusal
from inference.engine.prefill import Prefill
from inference.engine.prefilling import Prefilling
from inference.engine.requests import Request, Sequence

STUCK_SECONDS = 2.0  # macOS's footprint follows a release by up to 0.5 s (jundot/omlx issue 1833)


class Pressure:
    def __init__(
        self, gate: Gate, lease: Lease, admission: Admission, prefilling: Prefilling, cohorts: Cohorts
    ) -> None:
        self._gate, self._lease = gate, lease
        self._admission, self._prefilling, self._cohorts = admission, prefilling, cohorts
        self._stuck_since = 0.0

    @property
    def stuck(self) -> bool:
        return self._stuck_since > 0

    def relieve(self, held_up: Prefill | None) -> Request | None:
        """A prefill that the gate holds up waits while others decode. When nobody does, nothing gets free by itself:
        the youngest of the other prefills gives way. Returns a request that cannot go on even alone."""
        if held_up is None or held_up not in self._prefilling.active or len(self._cohorts):
            self._stuck_since = 0.0
            return None
        if others := [one for one in self._prefilling.active if one is not held_up and one.holds]:
            self._send_back(_youngest(others))
        elif not self._stuck_since:
            self._stuck_since = time.monotonic()
        elif time.monotonic() - self._stuck_since > STUCK_SECONDS:
            self._stuck_since = 0.0
            return held_up.request
        return None

    def make_room(self, cohort: Cohort) -> Request | None:
        """Before a step of a cohort: there must be room for its cache to grow. The youngest gives way; returns a
        request that is alone and cannot go on."""
        while cohort.size and not self._gate.allows(self._cohorts.step_bytes(cohort)):
            self._gate.decide("waited", self._cohorts.step_bytes(cohort), tokens=cohort.size)
            decoding = self._cohorts.sequences
            if filling := [one for one in self._prefilling.active if one.holds]:
                self._send_back(_youngest(filling))
            elif len(decoding) == 1:
                return decoding[0].request
            else:
                self._interrupt(max(decoding, key=lambda sequence: sequence.request.arrived))
        return None

    def refusal(self) -> Refusal:
        self._gate.decide("refused")
        what = (
            f"The model's lease of {self._gate.lease:,} bytes has no room for this request to go on: "
            f"{self._gate.usage():,} are in use. "
        )
        if self._lease.could_be(self._gate.lease + 1):
            return Refusal(503, "no_room", what + "Others hold the rest; try again later.", retry_after=1)
        hint = "Shorten it, or give the model a larger lease."
        return Refusal(413, "context_too_large_for_memory", what + hint)

    def _send_back(self, prefill: Prefill) -> None:
        self._prefilling.active.remove(prefill)
        prefill.forget()
        self._admission.enter_again(prefill)

    def _interrupt(self, sequence: Sequence) -> None:
        """It will be prefilled again, what it has generated included, and go on."""
        for cohort in self._cohorts:
            cohort.drop([sequence])
        self._admission.enter_again(Prefill(sequence.request, [sequence]))


def _youngest(prefills: list[Prefill]) -> Prefill:
    return max(prefills, key=lambda one: one.request.arrived)
