"""A video is made larger on a real server by a tiny SeedVR2, and kept as it is when the worker for that is killed."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from memory.environments import ROOT, runtime_python
from tests.helpers import wait_for
from tests.house import ask, kill_workers, open_house

pytestmark = pytest.mark.runtime
TINY = {"model": "demo-video", "size": "32x32", "frames": 5, "steps": 2, "fps": 8, "upscale": "auto"}
LEASES = """
import json
from videos.models import VideoJob
print(json.dumps([[job.upscaled, sorted(job.artifacts.values_list("variant", flat=True)),
                   job.attempts.get().manifest["upscale"]] for job in VideoJob.objects.order_by("created_at")]))
"""
SHAPE = """
import json, sys, av
with av.open(sys.argv[1]) as container:
    frames = list(container.decode(video=0))
print(json.dumps([len(frames), frames[0].width, frames[0].height]))
"""


@pytest.fixture
def larger(house: Path) -> Path:
    """A house whose models can also make videos larger."""
    python = runtime_python(house, "mlx-gen")
    command = [str(python), "-m", "videos.runtimes.mlx_gen.upscale.demo", str(house / "models" / "tiny-upscaler")]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60)
    return house


def test_a_video_is_made_larger_and_is_kept_as_it_is_when_the_worker_that_does_it_is_killed(
    larger: Path, tmp_path: Path
) -> None:
    with open_house(larger, {"FMLX_LOG_LEVEL": "WARNING", "FMLX_VIDEO_IDLE_SECONDS": "0"}) as client:
        first = client.make(**TINY, seed=1)
        assert (first["upscale"], first["upscaled_size"]) == ("tiny-upscaler", None)
        done = client.until(first["id"], "completed", timeout=100)
        assert (done["size"], done["upscaled_size"], done["upscale_error"]) == ("32x32", "64x64", None)
        shapes = {}
        for variant in ("video", "raw"):
            file = tmp_path / f"{variant}.mp4"
            file.write_bytes(client.request("GET", f"/v1/videos/{first['id']}/content?variant={variant}").content)
            python = str(runtime_python(larger, "mlx-gen"))
            read = subprocess.run([python, "-c", SHAPE, str(file)], capture_output=True, check=True, timeout=60)
            shapes[variant] = json.loads(read.stdout)
        assert shapes == {"video": [5, 64, 64], "raw": [5, 32, 32]}

        second = client.make(**TINY, seed=2)

        def begun() -> bool:
            video = client.video(second["id"])
            assert video["status"] != "completed", "It was too quick for this test."
            return bool(video["phase"] == "upscaling" and video["total_steps"])

        wait_for(begun, 60, "its worker to make it larger")
        assert kill_workers(larger) == 1
        kept = client.until(second["id"], "completed", timeout=60)
        assert (kept["upscaled_size"], kept["upscale_error"]["code"]) == (None, "worker_crashed")
    made, lost = json.loads(ask(larger, LEASES))
    assert (made[0], made[1]) == (True, ["spritesheet", "thumbnail", "upscaled", "video"])
    assert made[2]["phase_seconds"]["upscaling"] > 0
    assert (lost[0], lost[1], lost[2]["code"]) == (False, ["spritesheet", "thumbnail", "video"], "worker_crashed")
