"""What is in the database and on the disk when the storm is over."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.crash.storm import Customer, Storm
from tests.house import ask, workers_of
from tests.undisturbed import Undisturbed

QUERY = """
import json
from memory.models import Lease
from videos.models import VideoJob
def told(job):
    tries = [[t.started_at.timestamp(), t.ended_at and t.ended_at.timestamp(), t.outcome] for t in job.attempts.all()]
    return {
        "status": job.status, "code": job.error_code, "message": job.error_message, "attempts": tries,
        "counted": job.attempt_count, "history": [event.what for event in job.history.all()],
        "said": [[event.what, event.message] for event in job.history.all()],
        "shape": {"size": f"{job.width}x{job.height}", "frames": job.frames, "steps": job.steps, "fps": job.fps},
        "seed": job.seed, "made": [t.manifest["frames_sha256"] for t in job.attempts.filter(outcome="completed")],
        "files": [artifact.path for artifact in job.artifacts.all()],
    }
jobs = {job.pk: told(job) for job in VideoJob.objects.all()}
print(json.dumps({"jobs": jobs, "leases": Lease.objects.count()}))
"""
Rows = dict[str, Any]
REACHED = re.compile(r"It was denoising, step (\d+) of")


def read_rows(home: Path, env: Mapping[str, str]) -> Rows:
    rows: Rows = json.loads(ask(home, QUERY, env))
    return rows


def check_content(customer: Customer, video_id: str) -> None:
    """Each variant is there, whole, and what its name says."""
    for variant, magic in {"video": b"ftyp", "thumbnail": b"WEBP", "spritesheet": b"WEBP"}.items():
        answer = customer.ask("GET", f"/v1/videos/{video_id}/content", params={"variant": variant})
        assert answer.status_code == 200, (video_id, variant, answer.text)
        assert magic in answer.content[:12]
        assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'


def check_job(video_id: str, row: Rows) -> None:
    assert row["status"] in ("completed", "failed"), (video_id, row)
    ends = [what for what in row["history"] if what == "completed"]
    if row["status"] == "failed":
        assert "the last one allowed" in row["message"], (video_id, row)
    assert len(ends) == (row["status"] == "completed"), (video_id, row)
    assert row["history"][-1] == (row["code"] or "completed"), (video_id, row)
    assert row["history"].count("accepted") == 1, (video_id, row)
    check_attempts(video_id, row["attempts"])
    # A warm generator that was found dead is not the job's doing: that try is in its history and not counted.
    found_dead = [outcome for _, _, outcome in row["attempts"]].count("worker_crashed")
    assert 0 <= row["history"].count("started") - row["counted"] <= found_dead, (video_id, row)


def check_attempts(video_id: str, attempts: list[Any]) -> None:
    """Each has ended, and none began before the one before it had."""
    assert all(ended for _, ended, _ in attempts), (video_id, attempts)
    for (_, ended, _), (started, _, _) in pairwise(attempts):
        assert started >= ended, (video_id, attempts)
    assert [outcome for _, _, outcome in attempts].count("completed") <= 1, (video_id, attempts)


def check_frames(rows: Rows, undisturbed: Undisturbed) -> None:
    """What came of it all is what would have come without."""
    for video_id, row in rows["jobs"].items():
        if row["status"] == "completed":
            assert row["made"] == [undisturbed.frames(row["seed"], row["shape"])], (video_id, row)


def check_repeats(rows: Rows, at_most: int) -> int:
    """After a loss no more denoise steps are done again than the checkpoints promise. Returns how many jobs went on."""
    for video_id, row in rows["jobs"].items():
        lost = 0
        for what, text in row["said"]:
            if reached := REACHED.search(text):
                lost = max(lost, int(reached[1]))
            elif what == "went_on":
                assert int(text.split()[0]) >= lost - at_most, (video_id, row)
    return sum(any(what == "went_on" for what, _ in row["said"]) for row in rows["jobs"].values())


def check_nothing_is_left(home: Path, rows: Rows) -> None:
    assert rows["leases"] == 0
    assert workers_of(home) == []
    left = [path for path in (home / "work").rglob("*") if path.parent != home / "work"]
    assert left == [], left
    kept = {path for job in rows["jobs"].values() for path in job["files"]}
    there = {str(path.relative_to(home / "artifacts")) for path in (home / "artifacts").rglob("*") if path.is_file()}
    assert there == kept
    kinds = {path.name.split("-")[0] for path in (home / "steps").iterdir()}
    assert kinds <= {"embeds", "latents"}, "frames and states are for jobs that run"
    assert [path for pattern in ("*.part", "*.draft", "*.tmp") for path in home.glob(f"**/{pattern}")] == []


def report(storm: Storm, rows: Rows, repeats: int, seconds: float) -> str:
    jobs = rows["jobs"].values()
    outcomes = Counter(outcome for job in jobs for _, _, outcome in job["attempts"])
    lines = {
        "seed": storm.seed,
        "wall": f"{seconds:.0f} s",
        "killed": _counted(storm.kills),
        "requests sent again": repeats,
        "jobs by state": _counted(Counter(job["status"] for job in jobs)),
        "jobs by attempts": _counted(Counter(len(job["attempts"]) for job in jobs)),
        "attempts by outcome": _counted(outcomes),
    }
    width = max(map(len, lines))
    return "\n".join(["", *(f"  {name:<{width}}  {value}" for name, value in lines.items()), ""])


def _counted(counter: Counter[Any]) -> str:
    return ", ".join(f"{key}: {counter[key]}" for key in sorted(counter, key=str)) or "none"
