"""uvicorn's HTTP protocol with bounds on what comes before a body: uvicorn 0.54 with httptools has none of its own."""

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fmlx_site.corked import Corked
from fmlx_site.errors import BodyTooSlow, FmlxError
from inference.api.errors import error_body

HEAD_BYTES = 64 * 1024  # nginx takes 4 headers of 8 KiB, Apache 100 of 8 KiB
HEAD_SECONDS = 20.0  # as Apache's mod_reqtimeout


class HeadersTooLarge(FmlxError):
    status, type, code = 431, "invalid_request_error", "headers_too_large"


class NoHttp(FmlxError):
    status, type, code = 400, "invalid_request_error", "invalid_http"


class BoundedProtocol(HttpToolsProtocol):
    """Headers without end are answered 431, headers that never come 408, and the connection is closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes: int | None = 0  # None once the headers are there
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport: Any = Corked(transport, self.loop)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_bytes is not None and self._timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(HeadersTooLarge(f"The headers are over {HEAD_BYTES} bytes."))

    def handle_websocket_upgrade(self) -> None:
        self.transport = self.transport.bare
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        self._stop()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._stop()
        self._head_bytes = 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self._late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._refuse(BodyTooSlow(f"The headers did not come within {HEAD_SECONDS:.0f} s."))

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told so in the shape of every other error."""
        self._refuse(NoHttp(msg))

    def _refuse(self, why: FmlxError) -> None:
        self._stop()
        body = error_body(why.message, why.type, None, why.code)
        lines = (
            f"HTTP/1.1 {why.status} {HTTPStatus(why.status).phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "connection: close",
        )
        self.transport.write("".join(f"{line}\r\n" for line in (*lines, "")).encode() + body)
        self.transport.close()
