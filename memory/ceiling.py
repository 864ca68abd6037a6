"""How much may be promised: min(static, dynamic, device). A pure function of readings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from memory.machine import Machine

GIB = 1024**3
SMALL_MACHINE_BYTES = 32 * GIB  # below this the reserves, meant for larger machines, shrink in proportion
STEP_BYTES = 64 * 1024**2  # the dynamic term moves in steps: nobody is told of a ceiling that trembles

Tier = Literal["safe", "balanced", "aggressive", "custom"]
# Reserve kept for the system and others, and the share of reclaimable memory that is counted on (DESIGN.md, Memory).
RESERVE_BYTES: Mapping[Tier, int] = {"safe": 12 * GIB, "balanced": 8 * GIB, "aggressive": 6 * GIB}
RECLAIMED_SHARE: Mapping[Tier, float] = {"safe": 0.2, "balanced": 0.5, "aggressive": 0.8, "custom": 0.5}


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Bytes. A term that could not be read, or that this machine does not have, is None. `utmost` is the dynamic
    term with all that the system could take back from its caches, where `dynamic` counts on a share of it.
    """

    static: int
    dynamic: int | None = None
    device: int | None = None
    utmost: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return min(term for term in (self.static, self.dynamic, self.device) if term is not None)

    @property
    def cap(self) -> int:
        """What there is at the very most: leases above it cannot all be kept."""
        return min(term for term in (self.static, self.utmost, self.device) if term is not None)

    @property
    def largest(self) -> int:
        """The most that can ever be promised, however much is free."""
        return self.static if self.device is None else min(self.static, self.device)

    def terms(self) -> dict[str, Any]:
        """The arithmetic, for people and for the database."""
        return {
            "bytes": self.bytes,
            "static": self.static,
            "dynamic": self.dynamic,
            "device": self.device,
            "cap": self.cap,
            "inputs": dict(self.inputs),
        }


def compute_ceiling(
    machine: Machine,
    *,
    tier: Tier,
    reserve: int,
    held: int,
    device: int | None,
    device_name: str = "",
    share: float = RECLAIMED_SHARE["custom"],
    limit: int | None = None,
) -> Ceiling:
    """`reserve` and `share` are for the custom tier; `limit` is the operator's own, in bytes. `held` is what this
    node's workers keep: nothing that `machine` counts too.
    """
    own = tier == "custom"
    kept = reserve if own else scaled_reserve(tier, machine.total)
    share = share if own else RECLAIMED_SHARE[tier]
    return Ceiling(
        static=max(0, min(machine.total - kept, machine.total if limit is None else limit)),
        dynamic=_in_steps(held + machine.free + int(share * machine.reclaimable)),
        device=device,
        utmost=_in_steps(held + machine.available),
        inputs={
            "tier": tier,
            "total": machine.total,
            "reserve": kept,
            "held": held,
            "free": machine.free,
            "reclaimable": machine.reclaimable,
            "reclaimable_share": share,
            "limit": machine.limit,
            "own_limit": limit,
            "device_name": device_name,
        },
    )


def _in_steps(size: int) -> int:
    return size // STEP_BYTES * STEP_BYTES


def scaled_reserve(tier: Tier, total: int) -> int:
    return RESERVE_BYTES[tier] * min(total, SMALL_MACHINE_BYTES) // SMALL_MACHINE_BYTES
