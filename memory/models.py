from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Node(models.Model):
    """One machine's accelerator memory and the process that owns it."""

    name = models.CharField(max_length=100, unique=True)
    boot_id = models.CharField(max_length=32, help_text="New at every start of the node.")
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(default=timezone.now)
    heartbeat_at = models.DateTimeField(default=timezone.now)
    ceiling_bytes = models.BigIntegerField(default=0)
    largest_bytes = models.BigIntegerField(default=0, help_text="The most that one lease could ever be.")
    ceiling_terms = models.JSONField(default=dict)
    runtimes = models.JSONField(default=dict, help_text="Each worker environment: ok, versions, problem, mend_command.")

    class Meta:
        verbose_name = _("node")
        verbose_name_plural = _("nodes")

    def __str__(self) -> str:
        return self.name

    @property
    def backend(self) -> str:
        """What its workers compute on: metal, cuda or cpu."""
        backend: str = self.ceiling_terms.get("inputs", {}).get("backend", "cpu")
        return backend


class Lease(models.Model):
    """Bytes promised to one worker. The row is gone when the process is gone, not before."""

    class State(models.TextChoices):
        RESERVED = "reserved", _("reserved")
        BOUND = "bound", _("bound")

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="leases")
    kind = models.CharField(max_length=32, help_text="The kind of worker: generator, engine.")
    holder = models.CharField(max_length=200, help_text="What the worker is for: a job's or a model's id.")
    bytes = models.BigIntegerField()
    state = models.CharField(max_length=16, choices=State, default=State.RESERVED)
    pid = models.PositiveIntegerField(null=True)
    pid_started = models.FloatField(null=True, help_text="When the process started: pids are used again.")
    created_at = models.DateTimeField(default=timezone.now)
    bound_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("lease")
        verbose_name_plural = _("leases")
        constraints = (
            models.CheckConstraint(condition=Q(bytes__gt=0), name="lease_bytes_positive"),
            models.CheckConstraint(
                condition=Q(state="reserved") | Q(pid__isnull=False, pid_started__isnull=False),
                name="bound_lease_has_process",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.holder}"


class Sample(models.Model):
    """What the OS said at one moment: one row per worker, and one for the machine (no holder)."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="samples")
    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=32, blank=True)
    holder = models.CharField(max_length=200, blank=True)
    footprint_bytes = models.BigIntegerField(help_text="Held by the worker; for the machine, in use by everybody.")
    available_bytes = models.BigIntegerField(null=True, help_text="For the machine: what the OS could still give.")

    class Meta:
        verbose_name = _("sample")
        verbose_name_plural = _("samples")
        indexes = (models.Index(fields=("node", "at")),)
        ordering = (F("at").desc(),)

    def __str__(self) -> str:
        return f"{self.holder or self.node_id} {self.at:%H:%M:%S}"
