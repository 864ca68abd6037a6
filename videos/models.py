import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


def new_id() -> str:
    return f"video_{uuid.uuid4().hex}"


class VideoJob(models.Model):
    """One clip somebody asked for. The queue is these rows; every change goes through `jobs.py`."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        IN_PROGRESS = "in_progress", _("in progress")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")

    id = models.CharField(primary_key=True, max_length=64, default=new_id, editable=False)
    key = models.ForeignKey("inference.ApiKey", on_delete=models.SET_NULL, null=True, related_name="video_jobs")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="video_jobs")
    idempotency_key = models.CharField(max_length=255, blank=True)
    request_digest = models.CharField(max_length=64, blank=True, help_text="Of the body, to refuse a key used twice.")

    model = models.CharField(max_length=255)
    prompt = models.TextField()
    negative_prompt = models.TextField(null=True)  # noqa: DJ001 - none means the model's own
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    frames = models.PositiveIntegerField()
    fps = models.PositiveIntegerField()
    steps = models.PositiveIntegerField()
    seed = models.BigIntegerField()
    guidance_scale = models.FloatField(null=True)
    guidance_scale_2 = models.FloatField(null=True)
    flow_shift = models.FloatField(null=True)

    status = models.CharField(max_length=16, choices=Status, default=Status.QUEUED)
    phase = models.CharField(max_length=32, blank=True)
    step = models.PositiveIntegerField(default=0)
    total_steps = models.PositiveIntegerField(default=0)
    progress = models.PositiveSmallIntegerField(default=0)
    eta_seconds = models.FloatField(null=True)
    preview_number = models.PositiveIntegerField(default=0, help_text="Of this attempt's newest preview; 0: none.")
    waiting_reason = models.TextField(blank=True)
    waiting_said = models.JSONField(default=list, help_text="The reason's names and figures, for other languages.")
    paused = models.BooleanField(default=False, help_text="It waits until somebody resumes it.")
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    error_said = models.JSONField(default=list)

    priority = models.SmallIntegerField(default=0)
    overtaken = models.PositiveIntegerField(default=0, help_text="Smaller jobs that went first while it did not fit.")
    not_before = models.DateTimeField(default=timezone.now)
    node = models.ForeignKey("memory.Node", on_delete=models.SET_NULL, null=True, related_name="video_jobs")
    fence = models.PositiveIntegerField(default=0, help_text="Grows when it changes hands; writes carry it.")
    attempt_count = models.PositiveSmallIntegerField(default=0)
    event_number = models.PositiveBigIntegerField(default=0)

    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    pipeline = models.CharField(max_length=64, blank=True)
    wall_seconds = models.FloatField(null=True)
    peak_memory_bytes = models.BigIntegerField(null=True)

    class Meta:
        verbose_name = _("video job")
        verbose_name_plural = _("video jobs")
        constraints = (
            models.UniqueConstraint(
                fields=("key", "idempotency_key"), condition=~Q(idempotency_key=""), name="post_once_per_key"
            ),
        )
        indexes = (
            models.Index(fields=("-priority", "created_at", "id"), condition=Q(status="queued"), name="video_queue"),
            models.Index(fields=("status", "node"), condition=Q(status="in_progress"), name="video_running"),
            models.Index(fields=("key", "created_at", "id"), name="video_list_of_key"),
            models.Index(fields=("created_at", "id"), name="video_list"),
            models.Index(
                fields=("model", "width", "height", "frames", "steps", "completed_at"),
                condition=Q(status="completed"),
                name="video_alike",
            ),
            models.Index(fields=("expires_at",), condition=Q(expires_at__isnull=False), name="video_expiry"),
        )

    def __str__(self) -> str:
        return self.id

    @property
    def finished(self) -> bool:
        return self.status in (self.Status.COMPLETED, self.Status.FAILED)


class Attempt(models.Model):
    """One try at a job: what ran where, under which lease, and how it ended."""

    job = models.ForeignKey(VideoJob, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    fence = models.PositiveIntegerField()
    node = models.ForeignKey("memory.Node", on_delete=models.SET_NULL, null=True)
    pid = models.PositiveIntegerField(null=True)
    lease_bytes = models.BigIntegerField()
    peak_bytes = models.BigIntegerField(null=True)
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)
    wall_seconds = models.FloatField(null=True)
    exit_status = models.IntegerField(null=True, help_text="Negative: the signal that ended the process.")
    outcome = models.CharField(max_length=64, blank=True, help_text="completed, or the error's code.")
    message = models.TextField(blank=True)
    said = models.JSONField(default=list)
    detail = models.TextField(blank=True)
    log = models.CharField(max_length=255, blank=True, help_text="File name in the folder of worker logs.")
    manifest = models.JSONField(default=dict)
    warm = models.BooleanField(default=False, help_text="The worker had stayed from an earlier job.")

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        constraints = (models.UniqueConstraint(fields=("job", "fence"), name="attempt_per_fence"),)
        ordering = ("number", "fence")

    def __str__(self) -> str:
        return f"{self.job_id} #{self.number}"


class Artifact(models.Model):
    """A file a job left in the artifacts folder, until retention takes it; the row stays."""

    class Variant(models.TextChoices):
        VIDEO = "video", _("video")
        THUMBNAIL = "thumbnail", _("thumbnail")
        SPRITESHEET = "spritesheet", _("spritesheet")

    job = models.ForeignKey(VideoJob, on_delete=models.CASCADE, related_name="artifacts")
    variant = models.CharField(max_length=16, choices=Variant)
    path = models.CharField(max_length=255, help_text="Relative to the artifacts folder.")
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    media_type = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    purged_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("artifact")
        verbose_name_plural = _("artifacts")
        constraints = (models.UniqueConstraint(fields=("job", "variant"), name="artifact_per_variant"),)

    def __str__(self) -> str:
        return self.path


class Step(models.Model):
    """A step of a job, and the key of the artifact it gives. An artifact is kept while some job's step names it."""

    class Name(models.TextChoices):
        ENCODE = "encode", _("encode")
        DENOISE = "denoise", _("denoise")
        DECODE = "decode", _("decode")

    job = models.ForeignKey(VideoJob, on_delete=models.CASCADE, related_name="made")
    name = models.CharField(max_length=16, choices=Name)
    key = models.CharField(max_length=64, db_index=True, help_text="SHA-256 of its inputs and the code's version.")
    bytes = models.BigIntegerField(null=True, help_text="Of the file; none while the step is not done.")
    reused = models.BooleanField(default=False, help_text="It was there: an earlier job had made it.")
    made_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        constraints = (models.UniqueConstraint(fields=("job", "name"), name="step_once_per_job"),)
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.job_id} {self.name}"


class JobEvent(models.Model):
    """A fact in a job's history: it was accepted, started, server_restarted, failed…"""

    job = models.ForeignKey(VideoJob, on_delete=models.CASCADE, related_name="history")
    at = models.DateTimeField(default=timezone.now)
    what = models.CharField(max_length=64)
    message = models.TextField(blank=True)
    said = models.JSONField(default=list)

    class Meta:
        verbose_name = _("job event")
        verbose_name_plural = _("job events")
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.job_id} {self.what}"


class Calibration(models.Model):
    """What `manage.py measure` found out about a model on a node: the predictor's constants, and what they are from."""

    node = models.ForeignKey("memory.Node", on_delete=models.CASCADE, related_name="calibrations")
    model = models.CharField(max_length=255)
    pipeline = models.CharField(max_length=64)
    backend = models.CharField(max_length=16, help_text="metal, cuda or cpu.")
    constants = models.JSONField(help_text="The fields of videos.predictor.Constants. Bytes.")
    measured_tokens = models.PositiveIntegerField(help_text="Of the largest size that was measured.")
    readings = models.JSONField(help_text="Of each profile: shape, peak bytes, seconds.")
    machine = models.CharField(max_length=200)
    versions = models.JSONField(default=dict)
    measured_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("calibration")
        verbose_name_plural = _("calibrations")
        constraints = (models.UniqueConstraint(fields=("node", "model"), name="calibration_once_per_model"),)

    def __str__(self) -> str:
        return f"{self.model} {self.measured_at:%Y-%m-%d}"
