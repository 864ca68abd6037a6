"""One live node per name in a database, also where several machines share it. Synchronous."""

import os
import socket
import time
import uuid
from datetime import timedelta

import psutil
from django.conf import settings
from django.utils import timezone

from memory.errors import NodeRunning
from memory.models import Node

ALIVE_SECONDS = 30.0  # after so long without a heartbeat others take its jobs over: it is dead to them
WATCH_SECONDS = 3.0  # three heartbeats
LOOK_SECONDS = 0.25


def take_name(name: str) -> Node:
    """The row of this node, from now on this process's. The caller holds the lock of the name in its home.

    Blocks up to 3 s when the name was another machine's until a moment ago, to see whether that node still lives.

    Raises:
        NodeRunning: it does.
    """
    found, place = Node.objects.filter(name=name).first(), here()
    if found and found.place != place and _lives(found):
        where = found.place.partition(" ")[0] or "another machine"
        raise NodeRunning(
            f"A node named {name!r} runs already, on {where} as process {found.pid}, and shares this database. "
            "Give this one another name with FMLX_NODE_NAME, or stop that one."
        )
    now = timezone.now()
    fresh = {"boot_id": uuid.uuid4().hex, "pid": os.getpid(), "place": place, "started_at": now, "heartbeat_at": now}
    row, _ = Node.objects.update_or_create(name=name, defaults=fresh)
    return row


def here() -> str:
    """This machine since it was booted, and this home: who was here and does not hold the lock is dead."""
    home = settings.FMLX.home.stat()
    return f"{socket.gethostname()[:100]} {int(psutil.boot_time())} {home.st_dev}:{home.st_ino}"


def _lives(node: Node) -> bool:
    """Whether its heartbeat moves: the clocks of two machines need not agree."""
    if node.heartbeat_at < timezone.now() - timedelta(seconds=ALIVE_SECONDS):
        return False
    deadline = time.monotonic() + WATCH_SECONDS
    while time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        if not Node.objects.filter(pk=node.pk, heartbeat_at=node.heartbeat_at).exists():
            return True
    return False
