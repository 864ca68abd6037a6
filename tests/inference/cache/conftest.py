from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.engine.cache.ssd import SsdTier
from tests.helpers import wait_for
from tests.inference.cache.support import MIB


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def open_tier(folder: Path) -> Iterator[Callable[..., SsdTier]]:
    """Opens tiers on the same folder, and closes them after the test."""
    opened: list[SsdTier] = []

    def open_(quota: int = 100 * MIB, at: Path = folder, **how: Any) -> SsdTier:
        opened.append(SsdTier(at, quota, **{"share_of_free": 1.0, **how}))
        return opened[-1]

    yield open_
    for tier in opened:
        tier.close(5)


@pytest.fixture
def tier(open_tier: Callable[..., SsdTier]) -> SsdTier:
    return open_tier()


def settled(tier: SsdTier) -> dict[str, int]:
    """The figures, once nothing waits for the disk."""
    wait_for(lambda: tier.figures()["queued"] == 0, 30, "everything is written")
    return tier.figures()


def restarted(tier: SsdTier, open_tier: Callable[..., SsdTier], **how: Any) -> SsdTier:
    tier.close(30)
    return open_tier(**how)
