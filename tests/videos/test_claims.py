"""Several processes claim from one database at once. Run on SQLite, and again on PostgreSQL."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
from django.db import connection

from inference.models import ModelFolder
from memory.models import Node
from tests.early import ROOT
from videos.models import JobEvent, VideoJob

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.servers]
JOBS, THREADS = 200, 4


def address() -> str:
    """The DATABASE_URL of the database that the tests are using."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    return f"postgres://{found['USER']}:{found['PASSWORD']}@{found['HOST']}:{found['PORT']}/{found['NAME']}"


def claimer(node: Node):
    environment = {**os.environ, "DATABASE_URL": address(), "DJANGO_SETTINGS_MODULE": "fmlx_site.settings"}
    command = [sys.executable, "-m", "tests.videos.claimer", str(node.pk), str(THREADS)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdin=pipe, stdout=pipe)


def test_two_processes_of_four_threads_claim_two_hundred_jobs_once_each(model: ModelFolder, make_job) -> None:
    there = Node.objects.create(name="there", boot_id="2", pid=2)
    ModelFolder.objects.create(node=there, name=model.name, path="/there", type="video", pipeline=model.pipeline)
    expected = {make_job(seed=number).pk for number in range(JOBS)}
    connection.close()
    running = [claimer(node) for node in (model.node, there)]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    claimed = [json.loads(process.communicate(timeout=60)[0]) for process in running]

    assert sorted(claimed[0] + claimed[1]) == sorted(expected)
    assert all(claimed), "One of the two got nothing: they did not run at the same time."
    for job_ids, node in zip(claimed, (model.node, there), strict=True):
        held = VideoJob.objects.filter(pk__in=job_ids, node=node, status="in_progress", fence=1, attempt_count=1)
        assert held.count() == len(job_ids)
    started = Counter(JobEvent.objects.filter(what="started").values_list("job", flat=True))
    assert set(started.values()) == {1}
