"""What the server adds to a clip, and whether a long history slows it down.

`python -m benchmarks.video_overhead [--pairs N] [--rows N]` in a home of its own that is removed at the end; the worker
environment is taken from FMLX_HOME. Without it the first table is left out.
"""

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self

import django
import httpx
import httpx_sse

from tools.places import home as server_home

os.environ["FMLX_TEST_HOME"] = str(server_home())
import tests.early

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fmlx_site.settings")
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from fmlx_site.asgi import application  # noqa: E402
from inference.models import ApiKey, ModelFolder  # noqa: E402
from memory.allowlist import worker_environment  # noqa: E402
from memory.models import Node  # noqa: E402
from tests.house import SHAPE, Client, ask, furnish, open_house  # noqa: E402
from videos import jobs  # noqa: E402
from videos.models import JobEvent, VideoJob  # noqa: E402

WIDTH, HEIGHT, FRAMES, STEPS = 64, 64, 17, 20
REPEATS = 100
NUMBERS = itertools.count()
COLD = {"FMLX_VIDEO_IDLE_SECONDS": "0"}  # as a script does it; benchmarks/video_warm.py has what staying saves
MANIFEST = """
import json
from videos.models import Attempt
a = Attempt.objects.get(job="{}")
print(json.dumps([a.wall_seconds, a.manifest["wall_seconds"], a.manifest["phase_seconds"]["loading"]]))
"""
Row = tuple[str, ...]


def table(title: str, head: Row, rows: list[Row]) -> None:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    print(f"\n{title}")
    for row in [head, *rows]:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)), flush=True)


def through_the_api(client: Client, home: Path) -> dict[str, float]:
    """Seconds from the POST to: the first event, the worker's first progress, the end; and what of it was start-up."""
    seen: dict[str, float] = {}
    began = time.monotonic()
    number = next(NUMBERS)  # another text and seed each time: nothing of an earlier clip is used again
    made = client.make(
        **{**SHAPE, "frames": FRAMES, "steps": STEPS, "fps": 8, "seed": number, "prompt": f"a red ball {number}"}
    )
    with httpx_sse.connect_sse(client, "GET", f"/v1/videos/{made['id']}/events") as stream:
        for event in stream.iter_sse():
            video, now = json.loads(event.data), time.monotonic() - began
            seen.setdefault("event", now)
            if video["total_steps"]:
                seen.setdefault("progress", now)
    seen["wall"] = time.monotonic() - began
    assert video["status"] == "completed", video
    attempt, work, load = json.loads(ask(home, MANIFEST.format(made["id"])))
    rest = seen["wall"] - (attempt - work) - load  # queue, claim, work, settling; without the process's start and end
    return {**seen, "import": attempt - work, "load": load, "rest": rest}


def bare(home: Path, folder: Path) -> dict[str, float]:
    shape = f"{WIDTH}x{HEIGHT}x{FRAMES}"
    command = [home / "runtimes/mlx-gen/bin/python", "-m", "benchmarks.bare", home / "models/demo-video"]
    began = time.monotonic()
    words = [*map(str, command), str(folder / "bare.mp4"), shape, str(STEPS)]
    env = worker_environment(folder, {}, {})
    done = subprocess.run(words, env=env, cwd=folder, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "wall": time.monotonic() - began}


def overhead(pairs: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        home = furnish(tests.early.make_home(folder / "home"))
        with open_house(home, COLD) as client:
            through_the_api(client, home), bare(home, folder)  # warm the page cache
            runs = [(through_the_api(client, home), bare(home, folder)) for _ in range(pairs)]
    rows = list(_overhead_rows(runs))
    title = f"One clip, {WIDTH}x{HEIGHT}, {FRAMES} frames, {STEPS} steps; medians of {pairs} interleaved pairs, seconds"
    table(title, ("", "API", "bare", "API / bare"), rows)
    for what in ("event", "progress"):
        print(f"  POST to first {what}: {1000 * median(api[what] for api, _ in runs):.0f} ms")


def _overhead_rows(runs: list[tuple[dict[str, float], dict[str, float]]]) -> Iterator[Row]:
    def of(name: str) -> Callable[[dict[str, float]], float]:
        return lambda run: run[name]

    for label, figure in {
        "wall": of("wall"),
        "of it start and import": of("import"),
        "of it load": of("load"),
        "without import and load": of("rest"),
    }.items():
        ours, theirs = (median(figure(pair[side]) for pair in runs) for side in (0, 1))
        ratio = median(figure(api) / figure(alone) for api, alone in runs)
        yield label, f"{ours:.2f}", f"{theirs:.2f}", f"{ratio:.3f}"


class Long:
    """A database with a history, and how long the queue's own questions take in it."""

    def __init__(self) -> None:
        call_command("migrate", verbosity=0)
        self.key, secret = ApiKey.make("bench", User.objects.create_superuser("admin", password="x" * 12))
        self.node = Node.objects.create(name="bench", boot_id="1", pid=1)
        folder = {"path": "/bench", "type": "video", "pipeline": "wan2.2-t2v-a14b"}
        ModelFolder.objects.create(node=self.node, name="demo-video", **folder)
        headers = {"Authorization": f"Bearer {secret}"}
        transport = httpx.ASGITransport(app=application)  # type: ignore[arg-type]
        self.http = httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)

    def fill(self, total: int, *, queued: int) -> None:
        """The newest `queued` of `total` jobs wait, and the others have been done."""

        for rows in (JobEvent.objects.all(), VideoJob.objects.all()):
            rows._raw_delete(rows.db)
        shape = {"width": 64, "height": 64, "frames": 17, "fps": 8, "steps": 4, "seed": 1, "prompt": "a red ball"}
        made = (
            VideoJob(key=self.key, model="demo-video", status="queued" if left <= queued else "completed", **shape)
            for left in range(total, 0, -1)
        )
        VideoJob.objects.bulk_create(made, batch_size=1000)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

    def claim(self) -> None:

        job = jobs.candidates(self.node.pk, 1)[0]
        claimed = jobs.claim(job, self.node.pk)
        assert claimed
        self._claimed = claimed

    def give_back(self) -> None:

        jobs.retry(self._claimed.pk, self._claimed.fence, "server_stopping", "", after=0)

    async def list(self, **params: str) -> None:
        answer = await self.http.get("/v1/videos", params={"limit": "10", **params})
        assert len(answer.json()["data"]) == 10, answer.text


@dataclass(frozen=True, slots=True)
class Took:
    """Medians in milliseconds. Processor time is what a busy machine does not distort."""

    wall: float
    processor: float

    @classmethod
    def of(cls, readings: list[tuple[float, float]]) -> Self:
        walls, processors = zip(*readings, strict=True)
        return cls(1000 * median(walls), 1000 * median(processors))


def timed(work: Callable[[], object], undo: Callable[[], object] = lambda: None) -> Took:
    readings = []
    for _ in range(REPEATS):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        readings.append((time.perf_counter() - wall, time.process_time() - processor))
        undo()
    return Took.of(readings)


async def atimed(work: Callable[[], Awaitable[object]]) -> Took:
    readings = []
    for _ in range(REPEATS):
        wall, processor = time.perf_counter(), time.process_time()
        await work()
        readings.append((time.perf_counter() - wall, time.process_time() - processor))
    return Took.of(readings)


def history(most: int) -> None:
    long, found = Long(), []
    for total, queued in ((10, 1), (most, 1), (1000, 1000), (most, 1000)):
        long.fill(total, queued=queued)
        claim = timed(long.claim, long.give_back)
        pages = asyncio.run(_pages(long))
        found.append((total, queued, claim, *pages))
    rows: list[Row] = []
    for at, (total, queued, *times) in enumerate(found):
        base = found[at // 2 * 2][2:]
        pairs = zip(times, base, strict=True)
        cells = [f"{one.wall:.2f} {one.processor:.2f} ({one.processor / first.processor:.2f})" for one, first in pairs]
        rows.append((f"{total:,}", f"{queued:,}", *cells))
    head = ("jobs", "of them queued", "claim", "list, newest first", "list, oldest first")
    table(
        f"Milliseconds: wall, processor (processor against the short history above it); medians of {REPEATS}",
        head,
        rows,
    )


async def _pages(long: Long) -> tuple[Took, Took]:
    return await atimed(long.list), await atimed(lambda: long.list(order="asc"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    history(options.rows)
    if (tests.early.KEPT_HOME / "runtimes" / "mlx-gen").is_dir() and options.pairs:
        overhead(options.pairs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
