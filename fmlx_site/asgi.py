"""The ASGI application: /v1 and /v2 to the lean handler, pages to the stock one, sockets to the consumers."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fmlx_site.settings")
django.setup()

from channels.routing import ProtocolTypeRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

from fmlx_site.lean import LeanHandler, PageHandler
from fmlx_site.option_store import keep_current
from fmlx_site.sockets import sockets

lean = LeanHandler()
pages = ASGIStaticFilesHandler(PageHandler())
LEAN = ("/v1/", "/v2/", "/health", "/readyz", "/metrics")


async def http(scope: Any, receive: Any, send: Any) -> None:
    if not scope["path"].startswith("/health"):  # which tells of the process alone
        await keep_current()
    handler = lean if scope["path"].startswith(LEAN) or scope["path"] in ("/v1", "/v2") else pages
    await handler(scope, receive, send)


application = ProtocolTypeRouter({"http": http, "websocket": sockets})
