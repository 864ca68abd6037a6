from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from fmlx_site.models import Change, StoredOption


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Looked at here; what changes it checks more than a single row, and writes the audit trail."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Change)
class ChangeAdmin(ReadOnlyAdmin):
    list_display = ("at", "who", "what", "name", "old", "new", "source", "address")
    list_filter = ("what", "source", "at")
    search_fields = ("name", "who", "address")
    date_hierarchy = "at"
    show_full_result_count = False


@admin.register(StoredOption)
class StoredOptionAdmin(ReadOnlyAdmin):
    list_display = ("name", "value")
    search_fields = ("name",)
