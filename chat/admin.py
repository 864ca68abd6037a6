from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from chat.models import Conversation, Message
from fmlx_site.admin import ReadOnlyAdmin


class PrivateAdmin(ReadOnlyAdmin):
    """That there is one, and what became of it; not what is said in it: that is its owner's alone."""

    list_display_links = None

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_view_permission(request)


@admin.register(Conversation)
class ConversationAdmin(PrivateAdmin):
    list_display = ("id", "owner", "model", "used_at", "deleted_at")
    list_filter = ("model", "used_at")
    search_fields = ("id", "owner__username")
    list_select_related = ("owner",)
    ordering = ("-used_at",)


@admin.register(Message)
class MessageAdmin(PrivateAdmin):
    list_display = ("id", "conversation_id", "role", "model", "state", "created_at")
    list_filter = ("state", "role", "model")
    search_fields = ("id", "conversation__id")
    ordering = ("-created_at",)
