"""What a page costs the server: CPU time and queries with 10^4 jobs, 10^3 models and 10^5 requests in the database.

`python -m benchmarks.page_cost [SHARE]`: with so much of them, all (1.0) by default. Goals: 50 ms and 8 queries a page,
besides the two that find the session and its user.
"""

import os
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

JOBS, MODELS, REQUESTS, HOURS, TURNS = 10_000, 1000, 100_000, 2000, 5
MOST_MS, MOST_QUERIES, OF_THE_SESSION = 50.0, 8, 2
GIB = 2**30
BATCH = 2000
PIPELINE = "wan2.2-t2v-a14b"
MADE: dict[str, str] = {}


def main(share: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"FMLX_HOME": folder, "DJANGO_SETTINGS_MODULE": "fmlx_site.settings"}
        Path(folder).chmod(0o700)
        import django  # noqa: PLC0415 - its settings are read from this home

        django.setup()
        from django.core.management import call_command  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        _fill(share)
        over = _measure()
    sys.exit(over)


def _fill(share: float) -> None:
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from inference.models import ApiKey, ModelFolder, RequestLog, UsageHour  # noqa: PLC0415
    from memory.models import Node  # noqa: PLC0415
    from videos.models import VideoJob  # noqa: PLC0415

    now = timezone.now()
    user = User.objects.create_superuser("admin", password="x" * 12)
    key, _ = ApiKey.make("bench", user)
    terms: dict[str, Any] = {"bytes": 64 * GIB}
    node = Node.objects.create(
        name="here", boot_id="1", pid=1, ceiling_bytes=64 * GIB, largest_bytes=64 * GIB, ceiling_terms=terms
    )
    count = int(MODELS * share)
    kinds = ("chat", "chat", "video", "")
    folders = [
        ModelFolder(
            node=node,
            name=f"model-{number}",
            path=f"/nowhere/model-{number}",
            type=kinds[number % 4],
            pipeline=PIPELINE if kinds[number % 4] == "video" else "",
            size_bytes=GIB,
            resident_bytes=GIB,
            skipped_because="" if kinds[number % 4] else "No weights.",
        )
        for number in range(count)
    ]
    ModelFolder.objects.bulk_create(folders, BATCH)
    shape = {"width": 832, "height": 480, "frames": 81, "fps": 16, "steps": 30, "seed": 1, "key": key, "node": node}
    states = ["completed"] * 8 + ["failed", "queued"]
    jobs = [
        VideoJob(model="model-2", prompt=f"a red ball rolls {number}", status=states[number % 10], pipeline="wan",
                 created_at=now - timedelta(minutes=number), **shape)
        for number in range(int(JOBS * share))
    ]  # fmt: skip
    VideoJob.objects.bulk_create(jobs, BATCH)
    for start in range(0, int(REQUESTS * share), BATCH):
        rows = [
            RequestLog(request_id=f"req_{number}", at=now - timedelta(seconds=number), key=key, seconds=0.5,
                       model=f"model-{number % 40}", endpoint="POST /v1/chat/completions", status=200)
            for number in range(start, start + BATCH)
        ]  # fmt: skip
        RequestLog.objects.bulk_create(rows)
    hour = now.replace(minute=0, second=0, microsecond=0)
    hours = [UsageHour(hour=hour - timedelta(hours=n), key=key, model="model-1", requests=9) for n in range(HOURS)]
    UsageHour.objects.bulk_create(hours, BATCH)
    MADE.update(video=jobs[0].pk, request="req_9")


def _pages() -> list[str]:
    ours = "/ /chat/ /videos/ /models/ /models/of/model-0/ /memory/ /cache/ /requests/ /requests/{request}/"
    watched = "/usage/ /keys/ /keys/make/ /videos/presets/ /webhooks/ /users/ /settings/ /audit/"
    rest = "/logs/ /system/ /connect/ /videos/{video}/"
    admin = "/admin/ /admin/videos/videojob/ /admin/inference/requestlog/ /admin/inference/modelfolder/"
    return f"{ours} {watched} {rest} {admin}".format(**MADE).split()


def _measure() -> int:
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.db import connection  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    browser = Client(SERVER_NAME="localhost")
    browser.force_login(User.objects.get())
    over = 0
    print(f"{'page':44} {'CPU, ms':>8} {'queries':>8} {'KiB':>7}")
    for page in _pages():
        answer = browser.get(page)
        with CaptureQueriesContext(connection) as asked:
            browser.get(page)
        said = asked.captured_queries  # the next request forgets them
        took = []
        for _turn in range(TURNS):
            began = time.process_time()
            browser.get(page)
            took.append((time.process_time() - began) * 1000)
        queries = max(0, len(said) - OF_THE_SESSION)
        cost = statistics.median(took)
        bad = cost > MOST_MS or queries > MOST_QUERIES or answer.status_code >= 400
        over += bad
        mark = f"  ABOVE ({answer.status_code})" if bad else ""
        print(f"{page[:44]:44} {cost:8.1f} {queries:8} {len(answer.content) / 1024:7.1f}{mark}", flush=True)
        if bad and os.environ.get("FMLX_TEST_QUERIES"):
            for one in said:
                print("   ", one["time"], one["sql"][:300])
    print(f"{over} of {len(_pages())} are above {MOST_MS:.0f} ms or {MOST_QUERIES} queries.")
    return int(over > 0)


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 1.0)
