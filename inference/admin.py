from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from fmlx_site.admin import ReadOnlyAdmin
from fmlx_site.audit import Origin, Source
from inference.keys import changes
from inference.models import (
    ApiKey,
    Download,
    Histogram,
    KeyMeter,
    ModelFolder,
    ModelPlace,
    ModelSettings,
    RequestLog,
    ResponseEvents,
    StoredResponse,
    UsageHour,
)


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys are made and changed on the Keys page, which writes the audit trail and tells every process."""

    list_display = ("name", "prefix", "owner", "created_at", "revoked_at")
    list_filter = ("owner", "revoked_at")
    search_fields = ("name", "prefix")
    list_select_related = ("owner",)
    exclude = ("digest",)
    actions = ("revoke",)

    @admin.action(description=_("Revoke the selected keys"), permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        if not request.user.has_perm("inference.change_apikey"):
            raise PermissionDenied
        count = sum(changes.revoke(key, Origin.of(request, Source.ADMIN)) for key in queryset)
        text = ngettext("%(count)d key was revoked.", "%(count)d keys were revoked.", count)
        self.message_user(request, text % {"count": count})


@admin.register(ModelFolder)
class ModelFolderAdmin(ReadOnlyAdmin):
    """What nodes found; it is theirs to write."""

    list_display = ("name", "type", "pipeline", "node", "size_bytes", "skipped_because", "found_at")
    list_filter = ("type", "pipeline", "node")
    search_fields = ("name", "path", "skipped_because")
    list_select_related = ("node",)


@admin.register(ModelSettings)
class ModelSettingsAdmin(ReadOnlyAdmin):
    """They are decided on the Models page."""

    list_display = ("name", "alias", "type", "pinned", "default", "idle_seconds", "context_limit")
    list_filter = ("pinned", "default", "type")
    search_fields = ("name", "alias")


@admin.register(ModelPlace)
class ModelPlaceAdmin(ReadOnlyAdmin):
    list_display = ("path", "added_at")
    search_fields = ("path",)


@admin.register(Download)
class DownloadAdmin(ReadOnlyAdmin):
    """They are asked for and ended on the Models page."""

    list_display = ("repository", "revision", "state", "bytes_done", "bytes_total", "node", "user", "created_at")
    list_filter = ("state", "node")
    search_fields = ("repository", "error_code")
    list_select_related = ("node", "user")


@admin.register(RequestLog)
class RequestLogAdmin(ReadOnlyAdmin):
    list_display = ("at", "key", "model", "endpoint", "status", "code", "prompt_tokens", "completion_tokens", "seconds")
    list_filter = ("at",)  # a filter by status or model would read every row for its choices
    search_fields = ("request_id", "code", "endpoint", "model", "=status")
    list_select_related = ("key",)


@admin.register(UsageHour)
class UsageHourAdmin(ReadOnlyAdmin):
    list_display = ("hour", "key", "model", "requests", "errors", "prompt_tokens", "completion_tokens", "cached_tokens")
    list_filter = ("model", "hour")
    list_select_related = ("key",)


@admin.register(KeyMeter)
class KeyMeterAdmin(ReadOnlyAdmin):
    list_display = ("key", "minute_requests", "minute_tokens", "day_requests", "day_tokens")
    search_fields = ("key__name", "key__prefix")
    list_select_related = ("key",)


@admin.register(Histogram)
class HistogramAdmin(ReadOnlyAdmin):
    list_display = ("metric", "endpoint", "model", "status", "total")
    list_filter = ("metric", "endpoint", "status")
    search_fields = ("model",)


@admin.register(StoredResponse)
class StoredResponseAdmin(ReadOnlyAdmin):
    """That there is one, and what became of it; what was asked and answered is its key's alone."""

    list_display = ("id", "key", "status", "background", "attempts", "size_bytes", "created_at")
    list_filter = ("status", "background", "created_at")
    search_fields = ("id", "key__name")
    list_select_related = ("key",)
    exclude = ("asked", "input", "body")


@admin.register(ResponseEvents)
class ResponseEventsAdmin(ReadOnlyAdmin):
    list_display = ("response_id", "first", "last")
    search_fields = ("response__id",)
    exclude = ("text",)
    ordering = ("-id",)
