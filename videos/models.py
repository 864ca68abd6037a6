import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

UPSCALE_FACTOR = 2  # of each side


def new_id() -> str:
    return f"video_{uuid.uuid4().hex}"


def new_batch_id() -> str:
    return f"batch_{uuid.uuid4().hex}"


class VideoBatch(models.Model):
    """Videos that were asked for at once. Its state is that of its jobs."""

    id = models.CharField(primary_key=True, max_length=64, default=new_batch_id, editable=False)
    key = models.ForeignKey("inference.ApiKey", on_delete=models.SET_NULL, null=True, related_name="video_batches")
    created_at = models.DateTimeField(default=timezone.now)
    cancelled_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("video batch")
        verbose_name_plural = _("video batches")
        indexes = (models.Index(fields=("key", "-created_at", "id"), name="video_batches_of_key"),)

    def __str__(self) -> str:
        return self.id


class VideoJob(models.Model):
    """One clip somebody asked for. The queue is these rows; every change goes through `jobs.py`."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        IN_PROGRESS = "in_progress", _("in progress")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")

    class Task(models.TextChoices):
        REMIX = "remix", _("remix")
        EDIT = "edit", _("edit")
        EXTENSION = "extension", _("extension")

    id = models.CharField(primary_key=True, max_length=64, default=new_id, editable=False)
    key = models.ForeignKey("inference.ApiKey", on_delete=models.SET_NULL, null=True, related_name="video_jobs")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="video_jobs")
    idempotency_key = models.CharField(max_length=255, blank=True)
    request_digest = models.CharField(max_length=64, blank=True, help_text="Of the body, to refuse a key used twice.")

    batch = models.ForeignKey(VideoBatch, on_delete=models.SET_NULL, null=True, related_name="jobs")
    custom_id = models.CharField(max_length=255, blank=True, help_text="What the batch's file calls it.")

    model = models.CharField(max_length=255)
    preset = models.CharField(max_length=64, blank=True)
    prompt = models.TextField()
    original_prompt = models.TextField(blank=True, help_text="As it was asked, where a chat model made it fuller.")
    prompt_wanted = models.BooleanField(default=False, help_text="A chat model is to make its prompt fuller first.")
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
    boundary_ratio = models.FloatField(null=True, help_text="Where the second expert takes over, 0 to 1.")
    loras = models.JSONField(default=list, help_text="Each with its name and its strength for each expert.")

    upscale = models.CharField(max_length=255, blank=True, help_text="The model that is to make it larger.")
    upscaled = models.BooleanField(default=False, help_text="That was done: the larger file is there.")
    upscale_error_code = models.CharField(max_length=64, blank=True, help_text="Why it was not.")
    upscale_error_message = models.TextField(blank=True)
    upscale_error_said = models.JSONField(default=list)

    task = models.CharField(
        max_length=16, choices=Task, blank=True, help_text="What it is of an earlier video, if any."
    )
    source_video = models.CharField(max_length=64, blank=True, help_text="The id of the video it was made from.")
    inputs = models.JSONField(
        default=dict, help_text="Keys of what it starts from (picture, last_picture, clip), and how: strength, before."
    )

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

    @property
    def upscaled_size(self) -> tuple[int, int] | None:
        """Width and height of the larger file, if there is one."""
        return (UPSCALE_FACTOR * self.width, UPSCALE_FACTOR * self.height) if self.upscaled else None

    @property
    def total_frames(self) -> int:
        """Of the file: an extension's has the frames of the earlier video before the new ones."""
        before: int = self.inputs.get("before", 0)
        return before + self.frames


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
        UPSCALED = "upscaled", _("larger video")
        THUMBNAIL = "thumbnail", _("thumbnail")
        SPRITESHEET = "spritesheet", _("spritesheet")
        INPUT = "input", _("what it starts from")

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
        PICTURE = "picture", _("first picture")
        LAST_PICTURE = "last_picture", _("last picture")
        CLIP = "clip", _("earlier clip")
        ENCODE = "encode", _("encode")
        CONDITION = "condition", _("condition")
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


def new_file_id() -> str:
    return f"file-{uuid.uuid4().hex}"


class InputFile(models.Model):
    """A file that a key uploaded to make videos from. Its content is kept once for all rows that have the same."""

    id = models.CharField(primary_key=True, max_length=64, default=new_file_id, editable=False)
    key = models.ForeignKey("inference.ApiKey", on_delete=models.CASCADE, related_name="input_files")
    name = models.CharField(max_length=255)
    purpose = models.CharField(max_length=32)
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64, db_index=True)
    media_type = models.CharField(max_length=64)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    frames = models.PositiveIntegerField(null=True, help_text="Of a video.")
    fps = models.FloatField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("uploaded file")
        verbose_name_plural = _("uploaded files")
        indexes = (models.Index(fields=("key", "created_at", "id"), name="files_of_key"),)

    def __str__(self) -> str:
        return f"{self.id} {self.name}"


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


class Preset(models.Model):
    """Named settings of a model as an operator made them, by the model's name: it outlives the folder."""

    model = models.CharField(max_length=255)
    name = models.CharField(max_length=64)
    values = models.JSONField(help_text="The fields of videos.schemas.PresetValues.")

    class Meta:
        verbose_name = _("preset")
        verbose_name_plural = _("presets")
        constraints = (models.UniqueConstraint(fields=("model", "name"), name="preset_once_per_model"),)

    def __str__(self) -> str:
        return f"{self.model} {self.name}"


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
