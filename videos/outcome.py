"""How an attempt ended, and what that means for its job."""

from dataclasses import dataclass, field
from typing import Any

from memory import Exit, say

# What may go better the next time: the machine or the process failed, not the request.
TRANSIENT = frozenset(
    {
        "worker_crashed",
        "worker_stalled",
        "monitor_failed",
        "worker_launch_failed",
        "server_restarted",
        "artifact_missing",
    }
)


@dataclass(slots=True)
class Outcome:
    """`code` is "completed" or the error's; `manifest` is the worker's own account of a completed attempt."""

    code: str
    message: str = ""
    detail: str = ""
    manifest: dict[str, Any] = field(default_factory=dict)
    larger: "Outcome | None" = None  # how it went to make the video larger, where that was asked for

    @property
    def completed(self) -> bool:
        return self.code == "completed"

    @property
    def transient(self) -> bool:
        return self.code in TRANSIENT


def outcome_of(last: dict[str, Any] | None, exit_: Exit) -> Outcome:
    """From the worker's last word (done, failed or none) and how its process ended."""
    if exit_.verdict:
        return Outcome(exit_.verdict.code, exit_.verdict.message)
    if last is None:
        signal, status = exit_.signal, exit_.status
        how = say("ended_by_signal", signal=signal) if signal else say("ended_with_status", status=status)
        return Outcome("worker_crashed", how)
    if last["type"] == "failed":
        return Outcome(last["code"], last["message"], str(last.get("detail", "")))
    return Outcome("completed", manifest=last["manifest"])
