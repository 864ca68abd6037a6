"""How much may be promised: min(static, dynamic, device). A pure function of readings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from memory.machine import Machine

GIB = 1024**3
SMALL_MACHINE_BYTES = 32 * GIB  # below this the reserves, meant for larger machines, shrink in proportion

Tier = Literal["safe", "balanced", "aggressive", "custom"]
# Reserve kept for the system and others, and the share of reclaimable memory that is counted on (DESIGN.md, Memory).
RESERVE_BYTES: Mapping[Tier, int] = {"safe": 12 * GIB, "balanced": 8 * GIB, "aggressive": 6 * GIB}
RECLAIMED_SHARE: Mapping[Tier, float] = {"safe": 0.2, "balanced": 0.5, "aggressive": 0.8, "custom": 0.5}


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Bytes. A term that could not be read, or that this machine does not have, is None."""

    static: int
    dynamic: int | None = None
    device: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return min(term for term in (self.static, self.dynamic, self.device) if term is not None)

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
            "inputs": dict(self.inputs),
        }


def compute_ceiling(machine: Machine, *, tier: Tier, reserve: int, held: int, device: int | None) -> Ceiling:
    """`reserve` is for the custom tier. `held` is what this node's workers keep: nothing that `machine` counts too."""
    kept = reserve if tier == "custom" else scaled_reserve(tier, machine.total)
    share = RECLAIMED_SHARE[tier]
    return Ceiling(
        static=max(0, machine.total - kept),
        dynamic=held + machine.free + int(share * machine.reclaimable),
        device=device,
        inputs={
            "tier": tier,
            "total": machine.total,
            "reserve": kept,
            "held": held,
            "free": machine.free,
            "reclaimable": machine.reclaimable,
            "reclaimable_share": share,
        },
    )


def scaled_reserve(tier: Tier, total: int) -> int:
    return RESERVE_BYTES[tier] * min(total, SMALL_MACHINE_BYTES) // SMALL_MACHINE_BYTES
