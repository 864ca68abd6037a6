from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from inference.models import ApiKey, ModelFolder


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """A secret is shown once, when a key is made, and never kept; so keys are not made here."""

    list_display = ("name", "prefix", "owner", "created_at", "revoked_at")
    list_filter = ("owner", "revoked_at")
    search_fields = ("name", "prefix")
    list_select_related = ("owner",)
    fields = ("name", "owner", "prefix", "created_at", "revoked_at")
    readonly_fields = ("owner", "prefix", "created_at", "revoked_at")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description=_("Revoke the selected keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        count = queryset.filter(revoked_at=None).update(revoked_at=timezone.now())
        text = ngettext("%(count)d key was revoked.", "%(count)d keys were revoked.", count)
        self.message_user(request, text % {"count": count})


@admin.register(ModelFolder)
class ModelFolderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What nodes found; it is theirs to write."""

    list_display = ("name", "type", "pipeline", "node", "size_bytes", "skipped_because", "found_at")
    list_filter = ("type", "pipeline", "node")
    search_fields = ("name", "path", "skipped_because")
    list_select_related = ("node",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ModelFolder | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ModelFolder | None = None) -> bool:
        return False
