"""macOS, on readings of it: `readings/README.md` says which were recorded and which are laid out by hand."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from memory.ceiling import GIB, compute_ceiling
from memory.device import parse_metal
from memory.footprint import Footprint
from memory.footprint_macos import LAYOUT, parse_usage
from memory.machine import Machine, read_machine

READINGS = Path(__file__).parent / "readings"
RECORDED = json.loads((READINGS / "vm_stat.json").read_text())
TOTAL = json.loads((READINGS / "sysctl.json").read_text())["hw.memsize"]


def psutil_of(reading: dict[str, Any]) -> SimpleNamespace:
    """What psutil makes of these figures (psutil/arch/osx/mem.c): `vm_stat` shows free pages less speculative ones."""
    pages, size = reading["pages"], reading["page_size"]
    free = (pages["free"] + pages.get("speculative", 0)) * size
    inactive = pages["inactive"] * size
    return SimpleNamespace(total=TOTAL, free=free, inactive=inactive, available=free + inactive)


@pytest.mark.parametrize("reading", RECORDED, ids=lambda reading: reading["machine"].partition(",")[0])
def test_free_and_inactive_pages_are_what_a_mac_could_give(
    reading: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: psutil_of(reading))
    machine = read_machine()
    pages = reading["pages"]
    assert machine.available == (pages["free"] + pages.get("speculative", 0) + pages["inactive"]) * reading["page_size"]
    assert machine.available == reading.get("reported_available_bytes", machine.available)
    assert machine.used == TOTAL - machine.available


def test_a_mac_under_pressure_promises_little_beyond_what_its_workers_hold() -> None:
    pressed = RECORDED[1]
    reading = psutil_of(pressed)
    machine = Machine(total=TOTAL, free=reading.free, reclaimable=reading.inactive)
    ceiling = compute_ceiling(machine, tier="balanced", reserve=8 * GIB, held=4 * GIB, device=24 * GIB)
    assert 4 * GIB < ceiling.bytes < 4 * GIB + machine.available


def test_metals_share_of_a_recorded_machine() -> None:
    device = parse_metal("Apple M3 Pro\n", f"{TOTAL}\n", "0\n")
    assert device is not None
    assert device.bytes == 24 * GIB


def test_a_footprint_is_taken_from_its_place_in_the_record() -> None:
    counters = list(range(35))
    held, most = 42 * 10**6, 57 * 10**6
    counters[7], counters[28] = held, most  # ri_phys_footprint, ri_lifetime_max_phys_footprint
    assert LAYOUT.size == 296
    assert parse_usage(LAYOUT.pack(b"\0" * 16, *counters)) == Footprint(held, most, held)
