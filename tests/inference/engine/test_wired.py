"""What workers may wire together stays inside what Metal recommends. The limit itself is a Mac's: here it is a list."""

import random

from inference.engine.wired import MIB, wired, wired_bytes

CAP = 96 * 1024 * MIB


def test_leases_under_the_cap_wire_no_more_than_the_cap_together() -> None:
    dice = random.Random(7)
    for _ in range(200):
        cuts = sorted(dice.randrange(CAP) for _ in range(dice.randrange(1, 9)))
        leases = [high - low for low, high in zip([0, *cuts], cuts, strict=False)]
        shares = [wired_bytes(lease, CAP) for lease in leases]
        assert sum(shares) <= CAP
        assert all(share <= lease for share, lease in zip(shares, leases, strict=True))


def test_no_worker_wires_more_than_metal_recommends() -> None:
    assert wired_bytes(200 * 1024 * MIB, CAP) == CAP
    assert wired_bytes(600 * MIB, CAP) == 300 * MIB
    assert wired_bytes(4096 * MIB, CAP) == 3584 * MIB


def test_the_limit_follows_the_lease_and_is_put_back() -> None:
    limits = [11]

    def set_limit(limit: int) -> int:
        limits.append(limit)
        return limits[-2]

    with wired(2048 * MIB, set_limit, CAP) as follow:
        follow(1024 * MIB)
    assert limits == [11, 1536 * MIB, 512 * MIB, 11]
