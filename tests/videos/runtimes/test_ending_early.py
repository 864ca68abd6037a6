"""A worker that is told to stop, or loses its node, ends at once and leaves nothing half made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.runtime, pytest.mark.quiet]

Json = dict[str, Any]
LONG = {"steps": 5000}
MANY_FRAMES = {"frames": 321, "steps": 1}
WRITING = 20  # slices after which the encoder has let go of its first packet, so that there is a file
PART = ".part"  # what the name of a half-made file ends with


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    ("phase", "step", "changes"),
    [
        ("loading", 1, {}),
        ("encoding", 1, {}),
        ("denoising", 2, LONG),
        ("decoding", 1, MANY_FRAMES),
        ("decoding", WRITING, MANY_FRAMES),
    ],
)
@pytest.mark.parametrize("how", ["abort", "stop"])
def test_the_work_ends_within_a_step_and_leaves_nothing(
    start_worker: Callable[[], Any], spec: Json, output_dir: Path, *, phase: str, step: int, changes: Json, how: str
) -> None:
    worker = start_worker()
    worker.send("start", spec=spec | changes)
    worker.until_phase(phase, step)
    worker.send(how)
    outcome = worker.outcome()
    assert (outcome["type"], outcome["code"]) == ("failed", "aborted")
    assert worker.exited_within(2) < 2
    assert left_in(output_dir) == []


@pytest.mark.parametrize(("phase", "changes"), [("denoising", LONG), ("decoding", MANY_FRAMES)])
def test_a_worker_that_loses_its_node_is_gone_within_two_seconds(
    start_worker: Callable[[], Any], spec: Json, output_dir: Path, phase: str, changes: Json
) -> None:
    worker = start_worker()
    worker.send("start", spec=spec | changes)
    worker.until_phase(phase, WRITING)
    assert [name.endswith(PART) for name in left_in(output_dir)] == ([True] if phase == "decoding" else [])
    worker.hang_up()
    assert worker.exited_within(5) < 2
    assert worker.process.returncode != 0
    assert left_in(output_dir) == []


def test_a_worker_that_is_aborted_before_it_starts_ends(start_worker: Callable[[], Any]) -> None:
    worker = start_worker()
    worker.until(lambda message: message["type"] == "hello")
    worker.send("abort")
    assert worker.outcome()["code"] == "aborted"
    assert worker.exited_within(5) < 5


def test_an_abort_keeps_the_finished_video_that_was_there(
    start_worker: Callable[[], Any], generate: Callable[..., Json], spec: Json, output_dir: Path
) -> None:
    generate()
    before = {path.name: path.read_bytes() for path in output_dir.iterdir()}
    worker = start_worker()
    worker.send("start", spec=spec | LONG)
    worker.until_phase("denoising", 1)
    worker.send("abort")
    assert worker.outcome()["code"] == "aborted"
    assert {path.name: path.read_bytes() for path in output_dir.iterdir()} == before
