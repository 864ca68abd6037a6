"""How a job ends when its worker goes wrong: through the API, with a real worker, and with the figures."""

import json
import os
import re
import shutil
import signal
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.helpers import wait_for
from tests.house import Client, ask, open_house, workers_of

pytestmark = pytest.mark.runtime
LONG = {"size": "96x96", "frames": 17, "steps": 100}
NO_WAIT = {"FMLX_VIDEO_BACKOFF_SECONDS": "0"}


def failed(client: Client, video: dict[str, Any]) -> dict[str, Any]:
    ended = client.until(video["id"], "failed", timeout=100)
    assert workers_of(client.server.home) == []
    error: dict[str, Any] = ended["error"]
    return error


def history(home: Path) -> list[str]:
    """But for how far an attempt took up what the one before had kept, which is a matter of when it was killed."""
    code = (
        "import json; from videos.models import JobEvent; print(json.dumps([e.what for e in JobEvent.objects.all()]))"
    )
    told: list[str] = json.loads(ask(home, code))
    return [what for what in told if what != "went_on"]


def test_a_job_that_takes_too_long_ends_with_job_timeout(house: Path) -> None:
    with open_house(house, {"FMLX_VIDEO_TIMEOUT_SECONDS": "3"}) as client:
        error = failed(client, client.make(**LONG))
    assert error["code"] == "job_timeout"
    assert "longer than the 3 s it was given" in error["message"]
    assert history(house) == ["accepted", "started", "job_timeout"]


def test_a_job_whose_worker_stands_still_is_tried_again_and_then_says_so(house: Path) -> None:
    env = {**NO_WAIT, "FMLX_VIDEO_STALL_SECONDS": "6", "FMLX_VIDEO_ATTEMPTS": "2"}
    with open_house(house, env) as client:
        made = client.make(**LONG)
        for attempt in (1, 2):
            wait_for(partial(_denoising, client, made["id"], attempt), 30, f"attempt {attempt} working")
            [worker] = wait_for(lambda: workers_of(house), 10, "a worker")
            os.kill(worker.pid, signal.SIGSTOP)
            wait_for(partial(_gone, worker), 30, "the worker that stands still being ended")
        error = failed(client, made)
    assert error["code"] == "worker_stalled"
    assert re.search(r"no (progress|sign of life) for [\d.]+ s.*attempt 2, the last one allowed", error["message"])
    assert history(house) == ["accepted", *["started", "worker_stalled"] * 2]


def _gone(worker: psutil.Process) -> bool:
    return not worker.is_running()


def _denoising(client: Client, video_id: str, attempt: int) -> bool:
    video = client.video(video_id)
    return bool(video["attempts"] == attempt and video["phase"] == "denoising")


def test_a_job_whose_worker_is_killed_three_times_fails_and_its_history_says_so(house: Path) -> None:
    with open_house(house, NO_WAIT) as client:
        made = client.make(**LONG)
        for attempt in (1, 2, 3):
            wait_for(partial(_denoising, client, made["id"], attempt), 30, f"attempt {attempt} working")
            [worker] = workers_of(house)
            os.kill(worker.pid, signal.SIGKILL)
        error = failed(client, made)
        assert client.video(made["id"])["attempts"] == 3
    assert error["code"] == "worker_crashed"
    assert "ended with signal 9" in error["message"]
    assert "attempt 3, the last one allowed" in error["message"]
    assert history(house) == ["accepted", *["started", "worker_crashed"] * 3]


def test_a_worker_over_its_lease_is_killed_and_the_job_says_how_far_it_went(house: Path) -> None:
    env = {"FMLX_MEMORY_TOLERANCE_BYTES": "0", "FMLX_MEMORY_TOLERANCE_SHARE": "0"}
    with open_house(house, env) as client:
        wait_for(lambda: client.read("GET", "/v1/models")["data"], 15, "the model being listed")
        forget_the_decoder(house)
        error = failed(client, client.make(size="480x272", steps=1))
        assert client.read("GET", "/v1/memory")["leases"] == []
    assert error["code"] == "memory_lease_exceeded"
    held, lease = (float(size) for size in re.findall(r"([\d.]+) GiB", error["message"])[:2])
    assert held > lease > 1
    assert history(house) == ["accepted", "started", "memory_lease_exceeded"]


def forget_the_decoder(home: Path) -> None:
    """A predictor that knows less than there is promises too little. The folder is not looked at again unchanged."""
    sizes = {"heads": 1, "decoder_width": 0}
    ask(home, f"from inference.models import ModelFolder; ModelFolder.objects.update(sizes={sizes})")


def test_a_checkpoint_that_is_broken_inside_fails_at_once_and_says_why(house: Path) -> None:
    weights = next((house / "models" / "demo-video" / "vae").glob("*.safetensors"))
    shutil.copy(next((house / "models" / "demo-video" / "text_encoder").glob("*.safetensors")), weights)
    with open_house(house) as client:
        error = failed(client, client.make())
    assert error["code"] == "model_invalid"
    assert history(house) == ["accepted", "started", "model_invalid"]


def test_a_clip_that_is_no_picture_is_found_out_and_never_handed_on(house: Path) -> None:
    fill_with_nan(next((house / "models" / "demo-video" / "vae").glob("*.safetensors")))
    with open_house(house) as client:
        made = client.make()
        error = failed(client, made)
        assert client.get(f"/v1/videos/{made['id']}/content").status_code == 409
    assert error["code"] == "output_invalid"
    assert "not finite" in error["message"]
    assert history(house) == ["accepted", "started", "output_invalid"]
    assert [path for path in (house / "artifacts").rglob("*") if path.is_file()] == []


def fill_with_nan(weights: Path) -> None:
    """Every number in a safetensors file, whatever its type; the header stays, so the file loads."""
    data = bytearray(weights.read_bytes())
    begin = 8 + int.from_bytes(data[:8], "little")
    data[begin:] = b"\xff" * (len(data) - begin)
    weights.write_bytes(data)
