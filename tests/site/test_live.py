"""Live events from one process to another, through Redis."""

import asyncio
import json
import os
import subprocess
import sys

import pytest

from fmlx_site.live import announce, listening
from tests.early import ROOT

LISTEN = """
import asyncio, json, django
django.setup()
from fmlx_site.live import listening
async def main():
    async with listening("videos", "nodes") as heard:
        print("ready", flush=True)
        for _ in range(3):
            print(json.dumps(await heard.next(20)), flush=True)
asyncio.run(main())
"""
TELL = """
import asyncio, django
django.setup()
from fmlx_site.live import announce
async def main():
    await announce("videos", "video.changed", video={"id": "video_1", "prompt": "шар 红球"}, key=7)
    await announce("elsewhere", "video.changed", video={})
    await announce("nodes", "wake")
    await announce("videos", "video.deleted", video={"id": "video_1"}, key=None)
asyncio.run(main())
"""


def python(code: str, redis_url: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "REDIS_URL": redis_url, "DJANGO_SETTINGS_MODULE": "fmlx_site.settings"}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE)


@pytest.mark.services
def test_what_one_process_announces_another_hears_in_order(redis_url: str) -> None:
    listener = python(LISTEN, redis_url)
    assert listener.stdout is not None
    assert listener.stdout.readline() == "ready\n"
    with python(TELL, redis_url) as teller:
        assert teller.wait(30) == 0
    heard = [json.loads(line) for line in listener.communicate(timeout=30)[0].splitlines()]
    videos = [event for event in heard if event["type"].startswith("video")]
    assert {"type": "wake"} in heard
    assert [event["type"] for event in videos] == ["video.changed", "video.deleted"]
    assert videos[0]["video"] == {"id": "video_1", "prompt": "шар 红球"}
    assert videos[0]["key"] == 7


@pytest.mark.servers
async def test_who_is_told_to_stop_stops_wherever_it_is_with_the_layer() -> None:
    """redis-py on Python 3.11 loses a cancel that comes as a command has been sent."""

    async def hears_and_tells() -> None:
        async with listening("videos", "nodes") as heard:
            while True:
                await heard.next(0.01)
                await announce("videos", "video.changed")

    for steps in range(0, 300, 2):
        running = asyncio.create_task(hears_and_tells())
        for _ in range(steps):
            await asyncio.sleep(0)
        running.cancel()
        done, _late = await asyncio.wait({running}, timeout=5)
        assert done, f"It runs on, cancelled after {steps} steps."
