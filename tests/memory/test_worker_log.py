"""A worker may print what it likes: its log keeps the beginning and the end, and the disk is safe."""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

from memory.node import LocalNode
from memory.worker_log import HEAD_BYTES, MOST_BYTES, TAIL_BYTES, WorkerLog
from memory.workers import WorkerSpec
from tests.helpers import wait_for
from tests.memory.support import start

LINES, LINE_BYTES = 200_000, 100
LEFT_OUT = re.compile(r"\n--- +(\d+) bytes were left out here ---\n")


async def test_a_worker_that_floods_its_log_is_kept_to_its_beginning_and_its_end(
    node: LocalNode, spec: Callable[..., WorkerSpec]
) -> None:
    worker = await start(node, spec(), do="flood", lines=LINES)
    ending = asyncio.ensure_future(worker.wait())
    largest = 0
    while not ending.done():
        largest = max(largest, worker.spec.log.stat().st_size)
        await asyncio.wait({ending}, timeout=0.005)
    assert (await ending).status == 0
    assert TAIL_BYTES < largest <= MOST_BYTES

    head, left_out, tail = LEFT_OUT.split(worker.spec.log.read_text())
    assert head.startswith("line 0 ")
    assert len(head) == HEAD_BYTES
    assert tail.splitlines()[-1].startswith(f"line {LINES - 1} ")
    assert tail.startswith("line ")
    assert len(head) + int(left_out) + len(tail) == LINES * LINE_BYTES


def printed(path: Path, *texts: bytes) -> str:
    """What is in the log after a process that prints this."""
    log = WorkerLog.open(path)
    for text in texts:
        os.write(log.entry, text)
    log.close_entry()
    log.finish()
    return path.read_text()


def test_the_next_worker_of_the_same_name_goes_on_with_the_log_and_with_the_count(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "engine.log"
    assert printed(path, b"begun\n") == "begun\n"
    assert printed(path, b"again\n") == "begun\nagain\n"
    flood = b"%099d\n" % 0 * 10_000
    for times in (3, 6):
        head, left_out, tail = LEFT_OUT.split(printed(path, flood, flood, flood, b"the end\n"))
        assert head.startswith("begun\nagain\n")
        assert tail.endswith("the end\n")
        ends = 8 * times // 3
        assert len(head) + int(left_out) + len(tail) == 12 + times * len(flood) + ends
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_worker_that_begins_something_else_goes_on_in_another_log(tmp_path: Path) -> None:
    log = WorkerLog.open(tmp_path / "first.log")
    os.write(log.entry, b"one\n")
    wait_for(lambda: (tmp_path / "first.log").read_text() == "one\n")
    log.go_on_in(tmp_path / "second.log")
    os.write(log.entry, b"two\n")
    log.close_entry()
    log.finish()
    assert (tmp_path / "first.log").read_text() == "one\n"
    assert (tmp_path / "second.log").read_text() == "two\n"
