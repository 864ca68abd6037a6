"""Pause, resume, crashes, stages and generators that stay, through the API: the frames are always the same."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import wait_for
from tests.house import Client, ask, kill_workers, open_house, workers_of
from tests.undisturbed import Undisturbed

pytestmark = [pytest.mark.runtime, pytest.mark.timeout(400)]
EVERY = 4
QUICK = {"FMLX_VIDEO_BACKOFF_SECONDS": "0", "FMLX_VIDEO_CHECKPOINT_STEPS": str(EVERY), "FMLX_LOG_LEVEL": "WARNING"}
LONG = {"size": "64x64", "frames": 17, "steps": 60, "fps": 8}
SHORT = {"size": "64x64", "frames": 5, "steps": 4, "fps": 8}
TOLD = """
import json
from memory.models import Lease
from videos.models import VideoJob
def told(job):
    tries = list(job.attempts.order_by("fence"))
    last = tries[-1]
    return {
        "history": [[e.what, e.message] for e in job.history.all()], "attempts": job.attempt_count,
        "frames": last.manifest.get("frames_sha256"), "warm": [a.warm for a in tries],
        "pids": [a.pid for a in tries], "reused": [s.name for s in job.made.filter(reused=True)],
        "phases": list(last.manifest.get("phase_seconds", {})),
    }
print(json.dumps({job.pk: told(job) for job in VideoJob.objects.all()}))
"""


def told(home: Path) -> dict[str, dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = json.loads(ask(home, TOLD))
    return jobs


def past(client: Client, video_id: str, step: int) -> None:
    def reached() -> bool:
        video = client.video(video_id)
        assert video["status"] != "completed", "It was too quick for this test."
        return bool(video["phase"] == "denoising" and video["step"] >= step)

    wait_for(reached, 60, f"{video_id} getting past step {step}")


def test_a_paused_video_keeps_what_was_computed_and_goes_on_from_there(house: Path, undisturbed: Undisturbed) -> None:
    with open_house(house, QUICK) as client:
        made = client.make(**LONG, seed=1)["id"]
        past(client, made, 10)
        paused = client.read("POST", f"/v1/videos/{made}/pause")
        assert (paused["status"], paused["paused"], paused["queue_position"]) == ("queued", True, None)
        assert paused["step"] >= 10
        assert "resumed" in paused["waiting_reason"]
        assert client.read("POST", f"/v1/videos/{made}/pause")["event_number"] == paused["event_number"]
        wait_for(lambda: not workers_of(house), 10, "the worker to leave")
        other = client.make(**SHORT, seed=2)["id"]
        client.until(other, "completed")
        assert client.video(made)["paused"] is True
        resumed = client.read("POST", f"/v1/videos/{made}/resume")
        assert (resumed["paused"], resumed["waiting_reason"]) == (False, None)
        client.until(made, "completed")
        for action in ("pause", "resume"):
            assert client.post(f"/v1/videos/{made}/{action}").status_code == 409
    job = told(house)[made]
    whats = [what for what, _ in job["history"]]
    assert whats == ["accepted", "started", "paused", "resumed", "started", "went_on", "completed"]
    assert int(dict(job["history"])["went_on"].split()[0]) >= paused["step"] - EVERY
    assert job["attempts"] == 1
    assert job["frames"] == undisturbed.frames(1, LONG)
    assert not list((house / "steps").glob("state-*")) + list((house / "steps").glob("frames-*"))


def test_a_killed_worker_and_a_killed_server_cost_a_few_steps(house: Path, undisturbed: Undisturbed) -> None:
    with open_house(house, QUICK) as client:
        made = client.make(**LONG, seed=3)["id"]
        past(client, made, 8)
        kill_workers(house)
        wait_for(lambda: client.video(made)["attempts"] == 2, 20, "the second attempt")
        past(client, made, 30)
        client.server.kill()
    with open_house(house, QUICK) as client:
        client.until(made, "completed")
    job = told(house)[made]
    whats = [what for what, _ in job["history"]]
    assert whats == [
        *("accepted", "started", "worker_crashed", "started", "went_on"),
        *("server_restarted", "started", "went_on", "completed"),
    ]
    done = [int(text.split()[0]) for what, text in job["history"] if what == "went_on"]
    assert done[0] >= 8 - EVERY
    assert done[1] >= 30 - EVERY
    assert job["frames"] == undisturbed.frames(3, LONG)


def test_each_step_in_a_worker_of_its_own_gives_the_same_frames(house: Path, undisturbed: Undisturbed) -> None:
    with open_house(house, {**QUICK, "FMLX_VIDEO_STAGED": "1"}) as client:
        made = client.make(**SHORT, seed=5)["id"]
        video = client.until(made, "completed")
        assert client.get(f"/v1/videos/{made}/content").is_success
    job = told(house)[made]
    assert job["frames"] == undisturbed.frames(5, SHORT)
    assert set(job["phases"]) >= {"encoding", "denoising", "decoding", "muxing", "verifying"}
    assert video["peak_memory_bytes"] > 0
    assert workers_of(house) == []


def test_a_generator_stays_for_the_next_video_and_dying_idle_harms_nothing(
    house: Path, undisturbed: Undisturbed
) -> None:
    with open_house(house, QUICK) as client:
        first, second = (client.make(**SHORT, seed=seed)["id"] for seed in (6, 7))
        for video_id in (first, second):
            client.until(video_id, "completed")
        [idle] = workers_of(house)
        lease = client.read("GET", "/v1/memory")
        assert "demo-video (idle)" in json.dumps(lease)
        os.kill(idle.pid, signal.SIGKILL)
        third = client.make(**SHORT, seed=8)["id"]
        client.until(third, "completed")
    jobs = told(house)
    assert [jobs[video_id]["warm"][-1] for video_id in (first, second, third)] == [False, True, False]
    assert jobs[first]["pids"] == jobs[second]["pids"] != jobs[third]["pids"]
    assert [jobs[video_id]["reused"] for video_id in (first, second, third)] == [[], ["encode"], ["encode"]]
    for video_id, seed in {first: 6, second: 7, third: 8}.items():
        assert jobs[video_id]["frames"] == undisturbed.frames(seed, SHORT)
        assert jobs[video_id]["attempts"] == 1
    assert workers_of(house) == []
