"""The gate's arithmetic, with readings of a machine that is not there."""

from dataclasses import replace

import pytest

from inference.engine.bounds import EMPTY, MASK_BYTES, SLACK, Bounds, Held, rounded
from inference.engine.dimensions import Dimensions
from inference.engine.gate import Gate
from inference.engine.pace import Pace

MIB = 1024**2
GIB = 1024**3
SHAPE = Dimensions(
    hidden=4096, layers=32, heads=32, head_dim=128, intermediate=14336, vocab=128256, context=131072,
    kv_values=2048, full_layers=32,
)  # fmt: skip


class Machine:
    """Readings, and what letting go of the reuse pool brings."""

    def __init__(self, active: int, footprint: int | None, pool: int = 0) -> None:
        self._active, self._footprint, self.pool, self._peak = active, footprint, pool, active

    def active(self) -> int:
        return self._active

    def cached(self) -> int:
        return self.pool

    def peak(self) -> int:
        return self._peak

    def reset_peak(self) -> None:
        self._peak = self._active

    def footprint(self) -> int | None:
        return None if self._footprint is None else self._footprint + self.pool

    def release(self) -> None:
        self.pool = 0

    def reach(self, peak: int) -> None:
        self._peak = peak


def settled(machine: Machine, lease: int = 10 * GIB) -> Gate:
    gate = Gate(machine, lease)
    gate.settle()
    return gate


def test_what_the_process_holds_beside_mlx_is_counted() -> None:
    gate = settled(Machine(active=4 * GIB, footprint=5 * GIB))
    assert (gate.base, gate.outside, gate.usage()) == (5 * GIB, GIB, 5 * GIB)


def test_without_a_footprint_it_goes_by_mlx_alone() -> None:
    assert settled(Machine(active=4 * GIB, footprint=None)).usage() == 4 * GIB


def test_a_bound_passes_up_to_the_lease_less_the_margin() -> None:
    gate = settled(Machine(active=4 * GIB, footprint=5 * GIB))
    free = 10 * GIB - 5 * GIB - gate.margin
    assert gate.allows(free)
    assert not gate.allows(free + 1)


def test_a_chosen_margin_counts_where_it_is_more_than_the_leases_own() -> None:
    machine = Machine(active=4 * GIB, footprint=5 * GIB)
    assert Gate(machine, 10 * GIB, least_margin=MIB).margin == 10 * GIB // 64
    gate = Gate(machine, 10 * GIB, least_margin=GIB)
    gate.settle()
    assert (gate.margin, gate.room()) == (GIB, 4 * GIB)
    assert gate.lease_for(2 * GIB) == 8 * GIB


def test_a_full_reuse_pool_refuses_nobody() -> None:
    machine = Machine(active=4 * GIB, footprint=5 * GIB)
    gate = settled(machine)
    machine.pool = 4 * GIB
    assert gate.allows(3 * GIB)
    assert machine.pool == 0


def test_a_recent_peak_counts_until_it_would_refuse() -> None:
    machine = Machine(active=4 * GIB, footprint=5 * GIB)
    gate = settled(machine)
    with gate.measured(3 * GIB):
        machine.reach(7 * GIB)
    assert gate.usage() == 8 * GIB
    assert gate.allows(4 * GIB)
    assert gate.usage() == 5 * GIB


def test_a_peak_over_its_bound_is_added_to_the_margin_for_good() -> None:
    machine = Machine(active=4 * GIB, footprint=5 * GIB)
    gate = settled(machine)
    before = gate.margin
    for peak in (6 * GIB, 5 * GIB):
        with gate.measured(GIB):
            machine.reach(peak)
    assert gate.margin == before + GIB


def test_scores_are_not_priced_where_the_kernel_is_fused() -> None:
    unfused, fused = (Bounds(SHAPE, 2, backend).forward(1, 512, 32768) for backend in ("cpu", "metal"))
    scores = 512 * 33280 * (32 * 4 + MASK_BYTES)  # float32 scores of 32 heads, and one mask for all
    assert unfused - fused == pytest.approx(SLACK * scores, abs=2)


def test_a_longer_chunk_a_longer_context_and_a_larger_batch_cost_more() -> None:
    bounds = Bounds(SHAPE, 2, "cpu")
    assert bounds.forward(1, 256, 1024) > bounds.forward(1, 128, 1024)
    assert bounds.forward(1, 128, 4096) > bounds.forward(1, 128, 1024)
    assert bounds.cache(2, 1000) == 2 * bounds.cache(1, 1000) == 2 * rounded(1000) * bounds.kv_bytes_per_token


def test_a_join_costs_the_padded_batch_and_taking_over_a_cache_nothing() -> None:
    bounds, short = Bounds(SHAPE, 2, "cpu"), Held(1, 10, 256, dense=False)
    near, far = (bounds.join(Held(8, length, length, dense=True), short, 1) for length in (100, 4000))
    assert far > 30 * near
    assert bounds.join(EMPTY, short, 1) == 0
    assert bounds.join(EMPTY, short, 4) > 0


def test_a_step_that_makes_the_cache_grow_costs_a_copy_of_a_layer() -> None:
    bounds = Bounds(SHAPE, 2, "cpu")
    steady, grows = (bounds.step(Held(4, 1000, capacity, dense=True)) for capacity in (1001, 1000))
    layer = 4 * 1256 * SHAPE.kv_values * 2
    kept = 4 * 256 * bounds.kv_bytes_per_token
    assert grows - steady == pytest.approx(SLACK * (layer + kept), abs=2)


def test_without_a_kernel_a_recurrent_layer_has_a_state_for_every_token() -> None:
    hybrid = replace(SHAPE, recurrent_layers=24, full_layers=8, state_values=524288, linear=8192)
    slow, quick = (Bounds(hybrid, 2, backend).forward(1, 64, 0) for backend in ("cpu", "metal"))
    assert slow - quick > 60 * 524288 * 4


def test_the_pace_is_that_of_the_context_it_was_learned_at() -> None:
    pace = Pace(0.001)
    pace.learn(512, 60_000, 5.12)
    assert pace.tokens(60_000, 0.1) == 10
    assert pace.tokens(0, 0.1) == 100
    pace.learn(10, 0, 10.0)
    assert pace.rate(0) == pytest.approx(0.001)
