"""Site and node in one process and one event loop."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Awaitable, Iterator
from typing import TypeVar

import uvicorn
from asgiref.sync import sync_to_async
from django.conf import settings

from fmlx_site import option_store
from fmlx_site.asgi import lean
from fmlx_site.log_files import keep_log
from fmlx_site.node import running_node
from fmlx_site.protocol import BoundedProtocol
from fmlx_site.server_options import LOG_LEVEL
from inference.request_log.writer import writer

T = TypeVar("T")
GRACE_SECONDS = 3  # for open streams; with the workers' own deadlines the process is gone within 5 s


class Server(uvicorn.Server):
    """Uvicorn embedded: signals are ours, and it says when it listens."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                "fmlx_site.asgi:application",
                host=host,
                port=port,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
                ws="websockets-sansio",
                http=BoundedProtocol,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(f"fmlx is ready at http://{self.config.host}:{self.config.port}", flush=True)  # noqa: T201


async def _take_options() -> None:
    """Those that need a restart are what they are from now on."""
    await sync_to_async(option_store.load)()
    logging.getLogger().setLevel(LOG_LEVEL.value)


async def serve(host: str, port: int, *, with_node: bool = True) -> None:
    """Until SIGINT or SIGTERM; then open streams get a moment, workers are stopped, jobs go back in line."""
    await _take_options()
    keep_log(f"serve-{port}")
    stop = stop_signal()
    server = Server(host, port)
    async with contextlib.AsyncExitStack() as node:
        if with_node and not await _before(stop, node.enter_async_context(running_node())):
            return
        serving = asyncio.create_task(server.serve())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        server.should_exit = True
        lean.end_streams()
        await asyncio.gather(serving, node.aclose())
        await writer.flush()


async def run_node() -> None:
    """A node alone, until SIGINT or SIGTERM."""
    await _take_options()
    keep_log(f"node-{settings.FMLX.node_name}")
    stop = stop_signal()
    async with contextlib.AsyncExitStack() as stack:
        if node := await _before(stop, stack.enter_async_context(running_node())):
            print(f"fmlx node {node.row.name} is ready", flush=True)  # noqa: T201
            await stop.wait()


async def _before(stop: asyncio.Event, starting: Awaitable[T]) -> T | None:
    """What has started; None when it was to stop first."""
    begun, stopping = asyncio.ensure_future(starting), asyncio.ensure_future(stop.wait())
    await asyncio.wait({begun, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not begun.done():
        begun.cancel()
        await asyncio.wait({begun})
    return None if begun.cancelled() else begun.result()


def stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
