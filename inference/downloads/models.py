from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

LONGEST_ID = 96  # characters of a hub's repository id, its slash included


class Download(models.Model):
    """A repository of a hub that is to become a model folder of a node. `inference/downloads/rows.py` makes every
    change of it; each carries the fence that it grew out of.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        COMPLETED = "completed", _("completed")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    repository = models.CharField(max_length=LONGEST_ID, help_text=_("Its id at the hub: owner/name."))
    revision = models.CharField(max_length=255, default="main", help_text=_("A branch, a tag or a commit."))
    commit = models.CharField(max_length=64, blank=True, help_text=_("What the revision was when it began."))
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    fence = models.PositiveIntegerField(default=0)
    node = models.ForeignKey("memory.Node", null=True, on_delete=models.SET_NULL, related_name="downloads")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="downloads")
    bytes_done = models.BigIntegerField(default=0)
    bytes_total = models.BigIntegerField(default=0, help_text=_("0 until the hub has said what there is."))
    bytes_per_second = models.FloatField(default=0.0)
    error_code = models.CharField(max_length=64, blank=True)
    error_message = models.TextField(blank=True)
    error_said = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("download")
        verbose_name_plural = _("downloads")
        ordering = ("-created_at", "-id")
        constraints = (
            models.UniqueConstraint(fields=("repository", "revision"), name="download_once"),
            models.UniqueConstraint(fields=("node",), condition=Q(state="running"), name="one_download_per_node"),
            models.CheckConstraint(condition=Q(bytes_done__lte=F("bytes_total")), name="done_is_part_of_total"),
        )

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}"

    @property
    def active(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    @property
    def eta_seconds(self) -> float | None:
        if self.state != self.State.RUNNING or not self.bytes_per_second or not self.bytes_total:
            return None
        return (self.bytes_total - self.bytes_done) / self.bytes_per_second
