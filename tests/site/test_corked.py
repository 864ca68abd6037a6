"""The head of an answer waits for its first bytes, and no longer than a round of the event loop."""

import asyncio
from typing import Any

from fmlx_site.corked import Corked

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Wire:
    """What leaves, write by write."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def corked() -> tuple[Wire, Any]:
    wire = Wire()
    transport: Any = wire
    return wire, Corked(transport, asyncio.get_running_loop())


async def test_head_and_body_leave_together() -> None:
    wire, transport = corked()
    transport.write(HEAD)
    transport.write(b"body")
    transport.write(b" and more")
    await asyncio.sleep(0)
    assert wire.sent == [HEAD + b"body", b" and more"]


async def test_a_head_whose_body_takes_its_time_does_not_wait_for_it() -> None:
    wire, transport = corked()
    transport.write(HEAD)
    assert wire.sent == []
    await asyncio.sleep(0)
    assert wire.sent == [HEAD]
    transport.write(b"body")
    assert wire.sent == [HEAD, b"body"]


async def test_two_answers_in_a_row_stay_in_order() -> None:
    wire, transport = corked()
    transport.write(HEAD)
    transport.write(HEAD)  # the first had no body
    transport.write(b"body")
    assert b"".join(wire.sent) == HEAD * 2 + b"body"


async def test_a_head_alone_is_sent_before_the_end() -> None:
    wire, transport = corked()
    transport.write(HEAD)
    transport.close()
    await asyncio.sleep(0)
    assert (wire.sent, wire.closed) == ([HEAD], True)
