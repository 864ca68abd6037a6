"""Whatever is killed, and whenever: every job that was accepted ends exactly once, and nothing is left behind."""

import os
import random
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.crash import aftermath
from tests.crash.storm import Customer, Part, Storm
from tests.helpers import free_port, wait_for
from tests.house import settle_in
from tests.servers import MANAGE, SERVE
from tests.undisturbed import Undisturbed

pytestmark = [pytest.mark.crash, pytest.mark.runtime, pytest.mark.timeout(1500)]
# Most jobs meet several kills: enough attempts that none runs out of them.
PATIENT = {"FMLX_VIDEO_ATTEMPTS": "60", "FMLX_VIDEO_BACKOFF_SECONDS": "0.02", "FMLX_LOG_LEVEL": "WARNING"}
STORM_SECONDS, CALM_SECONDS = 150.0, 900.0
ENDED = {"completed", "failed"}


@pytest.fixture
def seed() -> int:
    return int(os.environ.get("FMLX_TEST_SEED") or secrets.randbelow(10**6))


def weather(
    storm: Storm,
    env: Mapping[str, str],
    undisturbed: Undisturbed,
    *,
    orders: int,
    kills: Mapping[str, int],
    steps: Sequence[int] = (2, 3, 4),
) -> aftermath.Rows:
    """Order videos while the storm blows, delete every tenth, and look at everything when it is over."""
    sys.stdout.write(f"\nFMLX_TEST_SEED={storm.seed}\n")
    rng, began = random.Random(storm.seed), time.monotonic()
    with Customer(storm.port, steps) as customer, storm.blowing():
        wait_for(lambda: customer.ask("GET", "/v1/models/demo-video").is_success, 60, "a node having found the model")
        ids = [customer.make(number, rng) for number in range(orders)]
        gone = ids[::10]
        for video_id in gone:
            assert customer.ask("DELETE", f"/v1/videos/{video_id}").status_code in (200, 404)  # 404: said twice
        kept = sorted(set(ids) - set(gone))
        wait_for(lambda: all(storm.kills[name] >= least for name, least in kills.items()), STORM_SECONDS, f"{kills}")
        while time.monotonic() < began + STORM_SECONDS and _ended(customer) < len(kept) / 2:
            storm.calm.wait(1.0)
        storm.calm.set()
        wait_for(lambda: _all_ended(customer, kept), CALM_SECONDS, "every job having ended")
        seconds = time.monotonic() - began
        for video_id in kept:
            if customer.statuses()[video_id] == "completed":
                aftermath.check_content(customer, video_id)
    rows = aftermath.read_rows(storm.home, env)
    sys.stdout.write(aftermath.report(storm, rows, customer.repeats, seconds))
    assert sorted(rows["jobs"]) == kept
    for video_id, row in rows["jobs"].items():
        aftermath.check_job(video_id, row)
    aftermath.check_nothing_is_left(storm.home, rows)
    aftermath.check_frames(rows, undisturbed)
    assert storm.doubles == []
    return rows


def _ended(customer: Customer) -> int:
    return sum(status in ENDED for status in customer.statuses().values())


def _all_ended(customer: Customer, kept: Sequence[str]) -> bool:
    statuses = customer.statuses()
    assert sorted(statuses) == kept
    return set(statuses.values()) <= ENDED


def test_sixty_jobs_survive_a_house_that_is_killed_over_and_over(
    house: Path, seed: int, undisturbed: Undisturbed
) -> None:
    env = {**PATIENT, "FMLX_VIDEO_WORKERS": "2"}
    storm = Storm(house, free_port(), [Part("site and node", SERVE, env, (0.0, 16.0))], seed)
    weather(storm, env, undisturbed, orders=70, kills={"site and node": 10, "worker": 15})


def test_long_denoisings_go_on_from_their_checkpoints_and_give_the_same_frames(
    house: Path, seed: int, undisturbed: Undisturbed
) -> None:
    """FMLX_TEST_LONG_JOBS of them: each is made a second time, undisturbed, to compare with."""
    orders = int(os.environ.get("FMLX_TEST_LONG_JOBS", "8"))
    env = {**PATIENT, "FMLX_VIDEO_WORKERS": "2", "FMLX_VIDEO_CHECKPOINT_STEPS": "6"}
    storm = Storm(house, free_port(), [Part("site and node", SERVE, env, (4.0, 16.0))], seed)
    kills = {"site and node": max(1, orders // 10), "worker": max(2, orders // 4)}
    rows = weather(storm, env, undisturbed, orders=orders, kills=kills, steps=(30, 45))
    assert aftermath.check_repeats(rows, at_most=6) >= 1


@pytest.mark.services
def test_two_nodes_that_are_killed_share_one_postgres(
    house: Path, seed: int, undisturbed: Undisturbed, postgres: str, redis_url: str
) -> None:
    env = {**PATIENT, "DATABASE_URL": postgres, "REDIS_URL": redis_url}
    settle_in(house, env)
    node = (*MANAGE, "runworkers")
    parts = [
        Part("site", (*MANAGE, "serve", "--site-only"), env, (1.0, 15.0)),
        Part("node one", node, {**env, "FMLX_NODE_NAME": "one"}, (0.0, 14.0)),
        Part("node two", node, {**env, "FMLX_NODE_NAME": "two"}, (0.0, 14.0)),
    ]
    storm = Storm(house, free_port(), parts, seed)
    weather(storm, env, undisturbed, orders=26, kills={**{part.name: 3 for part in parts}, "worker": 5})
