"""Waiting for what should happen, with a deadline, and other small needs of many tests."""

import asyncio
import inspect
import socket
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
LOOK_SECONDS = 0.02


def free_port() -> int:
    """A loopback TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(predicate: Callable[[], T], timeout: float = 10, what: str = "") -> T:
    """Look until `predicate` gives something true and return that.

    Raises:
        AssertionError: it did not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (value := predicate()):
        assert time.monotonic() < deadline, _late(predicate, timeout, what)
        time.sleep(LOOK_SECONDS)
    return value


async def await_for(predicate: Callable[[], Any], timeout: float = 10, what: str = "") -> Any:  # noqa: ASYNC109
    """As `wait_for`, without holding up the event loop; `predicate` may be async."""
    deadline = time.monotonic() + timeout
    while not (value := await _value(predicate)):
        assert time.monotonic() < deadline, _late(predicate, timeout, what)
        await asyncio.sleep(LOOK_SECONDS)
    return value


async def _value(predicate: Callable[[], Any]) -> Any:
    value = predicate()
    return await value if inspect.isawaitable(value) else value


def _late(predicate: object, timeout: float, what: str) -> str:
    return f"{what or predicate} did not happen within {timeout:g} s"
