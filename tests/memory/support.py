"""What the tests of workers share."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memory.models import Lease
from memory.node import LocalNode
from memory.processes import process
from memory.protocol import Message
from memory.workers import Worker, WorkerSpec

MIB = 1024**2
SIMPLE = Path(__file__).parent / "workers" / "simple.py"


def simple_spec(home: Path, *arguments: str, **fields: Any) -> WorkerSpec:
    folder = home / "work" / "job"
    argv = [sys.executable, str(SIMPLE), *arguments]
    given = {"kind": "test", "holder": "job", "runtime": "test", "argv": argv, "cwd": folder, "log": home / "job.log"}
    return WorkerSpec(**{**given, **fields})


async def reserve(node: LocalNode, size: int = 512 * MIB, holder: str = "job") -> Lease:
    return await node.reserve("test", holder, size)


async def launch(node: LocalNode, spec: WorkerSpec, size: int = 512 * MIB) -> Worker:
    return await node.launch(spec, await reserve(node, size))


async def start(node: LocalNode, spec: WorkerSpec, size: int = 512 * MIB, **work: Any) -> Worker:
    """A worker that has begun with `work`."""
    worker = await launch(node, spec, size)
    await worker.send("start", spec=work)
    return worker


async def said(worker: Worker) -> list[Message]:
    """Everything the worker says, to its end."""
    return [message async for message in worker.messages()]


async def hear(worker: Worker, type_: str) -> Message:
    async for message in worker.messages():
        if message["type"] == type_:
            return message
    raise AssertionError(f"The worker ended without {type_!r}. Its log: {worker.spec.log.read_text()}")


def running(pid: int) -> bool:
    found = process(pid)
    return found is not None and not found.zombie


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait by blocking the thread that calls, the event loop's included."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "The condition did not come true in time."
        time.sleep(0.01)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "The condition did not come true in time."
        await asyncio.sleep(0.01)


async def leases() -> int:
    return await Lease.objects.acount()
