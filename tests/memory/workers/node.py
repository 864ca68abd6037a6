"""A node with one worker, in a process that the test kills. Prints the worker's pid when the work has begun."""

import asyncio
import json
import sys

import django

django.setup()

from django.conf import settings  # noqa: E402

from memory.node import LocalNode  # noqa: E402
from tests.memory.support import hear, simple_spec, start  # noqa: E402


async def main() -> None:
    async with LocalNode.open("test-node") as node:
        worker = await start(node, simple_spec(settings.FMLX.home, "--ignore-sigterm"), do=sys.argv[1])
        await hear(worker, "event")
        sys.stdout.write(json.dumps({"worker": worker.pid}) + "\n")
        sys.stdout.flush()
        await worker.wait()


asyncio.run(main())
