from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from fmlx_site.admin import ReadOnlyAdmin
from fmlx_site.audit import Origin, Source, What, record_change
from videos import deletion, jobs, live
from videos.errors import AlreadyFinished, FenceLost
from videos.models import Artifact, Attempt, Calibration, InputFile, JobEvent, Preset, Step, VideoBatch, VideoJob


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
class VideoJobAdmin(ReadOnlyAdmin):
    """Jobs are read here and moved by actions: every change goes through `jobs`, so fences hold."""

    list_display = ("id", "status", "progress", "model", "width", "height", "frames", "attempt_count", "created_at")
    list_filter = ("status", "model", "error_code", "created_at")
    search_fields = ("id", "prompt", "error_message")
    list_select_related = ("node",)
    ordering = ("-created_at", "-id")
    inlines = (AttemptInline, StepInline, ArtifactInline, HistoryInline)
    actions = ("cancel", "requeue")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of a whole list, for the actions; of no field of a job."""
        return obj is None and admin.ModelAdmin.has_change_permission(self, request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def delete_model(self, request: HttpRequest, obj: VideoJob) -> None:
        async_to_sync(deletion.delete)(obj)
        self._record(request, obj, {"state": obj.status}, None)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[VideoJob]) -> None:
        for job in queryset:
            self.delete_model(request, job)

    def _record(self, request: HttpRequest, job: VideoJob, old: Any, new: Any) -> None:
        record_change(What.VIDEO, job.pk, old, new, Origin.of(request, Source.ADMIN))

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
            self._record(request, job, {"state": job.status}, {"state": changed.status})
            async_to_sync(live.job_changed)(changed)
            moved += 1
        async_to_sync(live.wake_nodes)()
        text = ngettext("%(count)d video was changed.", "%(count)d videos were changed.", moved)
        self.message_user(request, text % {"count": moved}, messages.SUCCESS if moved else messages.WARNING)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = ("job", "number", "node", "started_at", "wall_seconds", "lease_bytes", "peak_bytes", "outcome")
    list_filter = ("node", "outcome", "started_at")
    search_fields = ("job__id", "message")
    list_select_related = ("job", "node")
    ordering = ("-id",)


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    list_display = ("job", "variant", "path", "bytes", "media_type", "created_at", "purged_at")
    list_filter = ("variant", "media_type", "created_at")
    search_fields = ("job__id", "path", "sha256")
    list_select_related = ("job",)
    ordering = ("-id",)


@admin.register(Step)
class StepAdmin(ReadOnlyAdmin):
    list_display = ("job", "name", "key", "bytes", "reused", "made_at")
    list_filter = ("name", "reused")
    search_fields = ("job__id", "key")
    list_select_related = ("job",)
    ordering = ("-id",)


@admin.register(JobEvent)
class JobEventAdmin(ReadOnlyAdmin):
    list_display = ("job", "at", "what", "message")
    list_filter = ("what", "at")
    search_fields = ("job__id", "message")
    list_select_related = ("job",)
    ordering = ("-id",)


@admin.register(Calibration)
class CalibrationAdmin(ReadOnlyAdmin):
    list_display = ("model", "node", "backend", "pipeline", "measured_tokens", "measured_at", "machine")
    list_filter = ("node", "backend", "pipeline")
    search_fields = ("model",)
    list_select_related = ("node",)


@admin.register(VideoBatch)
class VideoBatchAdmin(ReadOnlyAdmin):
    list_display = ("id", "key", "created_at", "cancelled_at")
    search_fields = ("id", "key__name")
    list_select_related = ("key",)
    ordering = ("-created_at",)


@admin.register(InputFile)
class InputFileAdmin(ReadOnlyAdmin):
    list_display = ("id", "key", "name", "purpose", "bytes", "media_type", "created_at", "expires_at")
    list_filter = ("purpose", "media_type")
    search_fields = ("id", "name", "sha256", "key__name")
    list_select_related = ("key",)
    ordering = ("-created_at",)


@admin.register(Preset)
class PresetAdmin(ReadOnlyAdmin):
    list_display = ("model", "name")
    list_filter = ("model",)
    search_fields = ("model", "name")
