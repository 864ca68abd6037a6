"""Websockets: where each goes, and from which pages they may be opened."""

from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path

from chat.consumers import ChatConsumer
from inference.library.consumers import ModelsConsumer
from inference.request_log.consumers import RequestsConsumer
from memory.consumers import MemoryConsumer
from videos.consumers import VideoConsumer, VideoListConsumer

route: Any = path  # typed for views, and consumers are applications
sockets: Any = AllowedHostsOriginValidator(
    AuthMiddlewareStack(
        URLRouter(
            [
                route("ws/chat/<str:conversation_id>/", ChatConsumer.as_asgi()),
                route("ws/memory/", MemoryConsumer.as_asgi()),
                route("ws/requests/", RequestsConsumer.as_asgi()),
                route("ws/models/", ModelsConsumer.as_asgi()),
                route("ws/videos/", VideoListConsumer.as_asgi()),
                route("ws/videos/<str:video_id>/", VideoConsumer.as_asgi()),
            ]
        )
    )
)
