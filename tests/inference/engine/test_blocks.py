"""What a block is called, and where a prompt leaves one."""

import hashlib
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from inference.engine.cache.blocks import BLOCK, Chain, root_of
from inference.engine.cache.plan import LEAST_POINT, Found, Plan, look_up, stops
from inference.engine.turns import common

ROOT = root_of({"weights": "a"}, "")
IDS = st.lists(st.integers(0, 2**32 - 1), max_size=3)


def prompt(seed: int, length: int) -> list[int]:
    return [(seed * 7919 + at * 104729) % 50_000 for at in range(length)]


@given(st.integers(0, 3 * BLOCK), st.integers(1, 3 * BLOCK))
def test_a_name_says_everything_before_its_end(change: int, end: int) -> None:
    one = prompt(1, 3 * BLOCK)
    other = one[:change] + [token + 1 for token in one[change : change + 1]] + one[change + 1 :]
    assert (Chain(ROOT, one).key(end) == Chain(ROOT, other).key(end)) == (change >= end)


def test_a_name_is_a_hash_of_packed_ids_and_can_be_made_by_others() -> None:
    tokens = prompt(2, BLOCK)
    ids = b"".join(token.to_bytes(4, "little") for token in tokens)
    assert Chain(ROOT, tokens).key(BLOCK) == hashlib.sha256(ROOT + ids).digest()


def test_the_names_of_tails_are_those_of_shorter_prompts() -> None:
    chain = Chain(ROOT, prompt(3, 600))
    assert dict(chain.tails(1, 600)) == {end: chain.key(end) for end in range(BLOCK + 1, 2 * BLOCK)}
    assert [end for end, _ in chain.tails(2, 600)] == list(range(2 * BLOCK + 1, 601))


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3), st.text(max_size=3))
def test_no_two_models_or_owners_share_a_root(facts: dict[str, str], salt: str) -> None:
    assert root_of(facts, salt) != root_of(facts, salt + "x")
    assert root_of(facts, salt) != root_of({**facts, "new": ""}, salt)


class Kept:
    """Tiers that have the blocks of one chain that end there: complete, or not."""

    def __init__(self, chain: Chain, ends: dict[int, bool]) -> None:
        self._kept = {chain.key(end): complete for end, complete in ends.items()}

    def find(self, chain: Chain, ends: Sequence[int], keys: Sequence[bytes], *, hot: bool = True) -> list[Found | None]:
        return [
            Found(key, (end - 1) // BLOCK * BLOCK, end, "hot", self._kept[key]) if key in self._kept else None
            for end, key in zip(ends, keys, strict=True)
        ]


def plan(ends: dict[int, bool], limit: int, *, snapshots: bool) -> Plan:
    chain = Chain(ROOT, prompt(4, 2000))
    return look_up(Kept(chain, ends), chain, limit, snapshots=snapshots)


def test_without_snapshots_all_whole_blocks_and_a_tail_are_of_use() -> None:
    ends = {256: True, 512: True, 768: True, 700: True, 790: True, 800: True, 1280: True}
    assert plan(ends, 1900, snapshots=False).position == 800
    assert plan(ends, 799, snapshots=False).position == 790
    assert plan(ends, 767, snapshots=False).position == 700
    assert plan(ends, 699, snapshots=False).position == 512
    assert plan(ends, 255, snapshots=False).position == 0


def test_with_snapshots_the_last_must_have_one() -> None:
    ends = {256: True, 512: False, 600: True, 768: False, 1024: False}
    found = plan(ends, 1900, snapshots=True)
    assert (found.position, found.known) == (600, 1024)
    assert [block.position for block in found.found] == [256, 512, 600]
    assert plan(ends, 599, snapshots=True).position == 256


@given(st.integers(1, 3000), st.lists(st.integers(1, 3000), max_size=3), st.integers(1, 5), st.booleans())
def test_stops_are_ahead_in_order_and_within_the_prompt(total: int, points: list[int], stride: int, few: bool) -> None:
    plan = Plan([], [])
    found = stops(plan, total, sorted(points), None if few else stride)
    assert found == sorted(set(found))
    assert all(0 < stop <= total for stop in found)
    assert set(found) >= {point for point in points if LEAST_POINT <= point <= total and point % BLOCK}
    if not few:
        strides = [0, *[stop for stop in found if stop % BLOCK == 0], total]
        assert all(after - before < (stride + 1) * BLOCK for before, after in pairwise(strides))


def test_what_is_known_and_lacks_a_snapshot_gets_one() -> None:
    found = plan({256: False, 512: False, 768: False}, 1900, snapshots=True)
    assert 768 in stops(found, 1900, [1000], 8)


@given(st.text(), st.text(), st.text())
def test_what_two_texts_begin_with(head: str, one: str, other: str) -> None:
    count = common(head + one, head + other)
    assert count >= len(head)
    assert (head + one)[:count] == (head + other)[:count]
    assert (head + one)[count : count + 1] != (head + other)[count : count + 1] or count == min(
        len(head + one), len(head + other)
    )
