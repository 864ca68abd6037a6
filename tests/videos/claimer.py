"""python -m tests.videos.claimer NODE THREADS: claim queued jobs until there are none, and say which as JSON.

Waits for a line on stdin, so that several of them start at the same moment.
"""

import json
import sys
import threading

import django

django.setup()

from django.db import connection  # noqa: E402

from videos import jobs  # noqa: E402

LOOK_AHEAD = 5  # few, so that the claimers meet


def claim_all(node_id: int, claimed: list[str], began: threading.Barrier) -> None:
    began.wait()
    while waiting := list(jobs.candidates(node_id, LOOK_AHEAD)):
        claimed += [job.pk for job in waiting if jobs.claim(job, node_id)]
    connection.close()


def main() -> None:
    node_id, count = int(sys.argv[1]), int(sys.argv[2])
    claimed: list[str] = []
    began = threading.Barrier(count + 1)
    threads = [threading.Thread(target=claim_all, args=(node_id, claimed, began)) for _ in range(count)]
    for thread in threads:
        thread.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    began.wait()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps(claimed))


if __name__ == "__main__":
    main()
