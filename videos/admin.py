from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from videos import deletion, jobs, live
from videos.errors import AlreadyFinished, FenceLost
from videos.models import Artifact, Attempt, JobEvent, Step, VideoJob


class ReadOnlyInline(admin.TabularInline):  # type: ignore[type-arg]
    """What happened is looked at, never edited."""

    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class AttemptInline(ReadOnlyInline):
    model = Attempt
    fields = ("number", "node", "started_at", "wall_seconds", "lease_bytes", "peak_bytes", "outcome", "message")


class ArtifactInline(ReadOnlyInline):
    model = Artifact
    fields = ("variant", "path", "bytes", "media_type", "purged_at")


class StepInline(ReadOnlyInline):
    model = Step
    fields = ("name", "key", "bytes", "reused", "made_at")


class HistoryInline(ReadOnlyInline):
    model = JobEvent
    fields = ("at", "what", "message")


@admin.register(VideoJob)
class VideoJobAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Jobs are read here and moved by actions: every change goes through `jobs`, so fences hold."""

    list_display = ("id", "status", "progress", "model", "width", "height", "frames", "attempt_count", "created_at")
    list_filter = ("status", "model", "error_code", "created_at")
    search_fields = ("id", "prompt", "error_message")
    list_select_related = ("node",)
    date_hierarchy = "created_at"
    ordering = ("-created_at", "-id")
    show_full_result_count = False
    inlines = (AttemptInline, StepInline, ArtifactInline, HistoryInline)
    actions = ("cancel", "requeue")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: VideoJob | None = None) -> list[str]:
        return [field.name for field in self.opts.fields]

    def delete_model(self, request: HttpRequest, obj: VideoJob) -> None:
        async_to_sync(deletion.delete)(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[VideoJob]) -> None:
        for job in queryset:
            async_to_sync(deletion.delete)(job)

    @admin.action(description=_("Cancel the selected videos"), permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[VideoJob]) -> None:
        self._move(request, queryset, jobs.cancel)

    @admin.action(description=_("Put the selected failed videos back in the queue"), permissions=["change"])
    def requeue(self, request: HttpRequest, queryset: QuerySet[VideoJob]) -> None:
        self._move(request, queryset.filter(status=VideoJob.Status.FAILED), jobs.requeue)

    def _move(self, request: HttpRequest, queryset: QuerySet[VideoJob], move: Any) -> None:
        moved = 0
        for job in queryset:
            try:
                changed = move(job)
            except (AlreadyFinished, FenceLost):
                continue  # it ended or moved by itself in the meantime
            async_to_sync(live.job_changed)(changed)
            moved += 1
        async_to_sync(live.wake_nodes)()
        text = ngettext("%(count)d video was changed.", "%(count)d videos were changed.", moved)
        self.message_user(request, text % {"count": moved}, messages.SUCCESS if moved else messages.WARNING)
