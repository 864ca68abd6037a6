"""`manage.py measure` on the demo model: real workers under real leases, and what is kept of it."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.early import ROOT
from tests.helpers import wait_for
from tests.house import ask, open_house, workers_of
from tests.servers import MANAGE, environment_of, manage

GIB = 1024**3
pytestmark = [pytest.mark.runtime, pytest.mark.timeout(400)]
FAST = ("demo-video", "--sizes", "32x32,48x48,64x64", "--frames", "5", "--steps", "1")
KEPT = "from videos.models import Calibration; print([(c.model, len(c.readings)) for c in Calibration.objects.all()])"
PROMISED = "from videos.models import Attempt; print(Attempt.objects.get().lease_bytes)"
LEFT = "from memory.models import Lease; print(Lease.objects.count())"


def measure(home: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [*MANAGE, "measure", "--skip-checks", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment_of(home, None), stderr=subprocess.PIPE, text=True)


def test_a_table_is_shown_and_the_constants_are_kept_and_used(house: Path) -> None:
    output = manage("measure", "--skip-checks", *FAST, home=house)
    assert "Kept for demo-video" in output
    rows = re.findall(r"(\d+x\d+), 5 frames +([\d.]+) GiB +([\d.]+) GiB +([\d.]+) GiB", output)
    assert [size for size, *_ in rows] == ["32x32", "48x48", "64x64"]
    assert all(float(measured) <= float(predicted) < float(promised) for _, measured, predicted, promised in rows)
    assert ask(house, KEPT) == "[('demo-video', 3)]"
    assert ask(house, LEFT) == "0"
    assert list((house / "previews").glob("colours-*.json")), "how its latents look is known before the first video"
    with open_house(house) as client:
        client.until(client.make(size="64x64", frames=5, steps=1)["id"], "completed")
        refused = measure(house, *FAST)
        assert "runs already" in refused.communicate(timeout=60)[1]
    assert refused.returncode == 1
    assert int(ask(house, PROMISED)) / GIB == pytest.approx(float(rows[-1][-1]), abs=0.01)


def test_an_interrupted_measurement_ends_its_worker_and_keeps_nothing(house: Path) -> None:
    measuring = measure(house, *FAST)
    wait_for(lambda: workers_of(house), 60, "a worker")
    os.kill(measuring.pid, signal.SIGINT)
    _, errors = measuring.communicate(timeout=30)
    assert (measuring.returncode, "nothing was kept" in errors) == (130, True)
    assert workers_of(house) == []
    assert (ask(house, KEPT), ask(house, LEFT)) == ("[]", "0")
