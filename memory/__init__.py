"""Memory that is promised before it is used: the ledger, the node that owns a machine, and the workers under lease.

Importable without Django, since a worker imports `memory.protocol` and has none.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memory.decisions import Decisions as Decisions
    from memory.errors import LaunchFailed as LaunchFailed
    from memory.errors import LeaseClosed as LeaseClosed
    from memory.errors import NeverFits as NeverFits
    from memory.errors import NoRoom as NoRoom
    from memory.errors import RoomPinned as RoomPinned
    from memory.ledger import Ledger as Ledger
    from memory.ledger import Room as Room
    from memory.node import LocalNode as LocalNode
    from memory.room import Priority as Priority
    from memory.room import Shortage as Shortage
    from memory.runtimes import keep_runtimes_known as keep_runtimes_known
    from memory.sentences import SENTENCES as SENTENCES
    from memory.sentences import TEXT as TEXT
    from memory.sentences import Sentence as Sentence
    from memory.sentences import gib as gib
    from memory.sentences import join as join
    from memory.sentences import parts_of as parts_of
    from memory.sentences import read as read
    from memory.sentences import say as say
    from memory.sentences import spell as spell
    from memory.sentences import spelled as spelled
    from memory.timeline import Refusals as Refusals
    from memory.timeline import What as What
    from memory.watch import Verdict as Verdict
    from memory.workers import Exit as Exit
    from memory.workers import Worker as Worker
    from memory.workers import WorkerSpec as WorkerSpec

PUBLIC = {
    "Decisions": "memory.decisions",
    "LaunchFailed": "memory.errors",
    "LeaseClosed": "memory.errors",
    "NeverFits": "memory.errors",
    "NoRoom": "memory.errors",
    "RoomPinned": "memory.errors",
    "gib": "memory.sentences",
    "Ledger": "memory.ledger",
    "Room": "memory.ledger",
    "LocalNode": "memory.node",
    "Refusals": "memory.timeline",
    "What": "memory.timeline",
    "Priority": "memory.room",
    "Shortage": "memory.room",
    "keep_runtimes_known": "memory.runtimes",
    "SENTENCES": "memory.sentences",
    "TEXT": "memory.sentences",
    "join": "memory.sentences",
    "Sentence": "memory.sentences",
    "parts_of": "memory.sentences",
    "read": "memory.sentences",
    "say": "memory.sentences",
    "spell": "memory.sentences",
    "spelled": "memory.sentences",
    "Verdict": "memory.watch",
    "Exit": "memory.workers",
    "Worker": "memory.workers",
    "WorkerSpec": "memory.workers",
}


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'memory' has no attribute {name!r}")
    return getattr(importlib.import_module(PUBLIC[name]), name)
