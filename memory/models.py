from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from memory.sentences import spelled


class Node(models.Model):
    """One machine's accelerator memory and the process that owns it."""

    name = models.CharField(max_length=100, unique=True)
    boot_id = models.CharField(max_length=32, help_text="New at every start of the node.")
    pid = models.PositiveIntegerField()
    place = models.CharField(max_length=200, blank=True, help_text="Its machine and home: `identity.here`.")
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
    footprint_bytes = models.BigIntegerField(null=True, help_text="Held at the last reading.")
    peak_bytes = models.BigIntegerField(null=True, help_text="The most it ever held.")
    pinned = models.BooleanField(default=False, help_text="Its holder stays, whoever waits for memory.")
    ends_at = models.DateTimeField(null=True, help_text="When its holder expects to be done.")

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


class Measured(models.Model):
    """What a worker held, or with no holder what everybody on the machine did, beside what was promised. Bytes."""

    at = models.DateTimeField(default=timezone.now)
    kind = models.CharField(max_length=32, blank=True)
    holder = models.CharField(max_length=200, blank=True)
    lease_bytes = models.BigIntegerField(null=True, help_text="The worker's lease; for the machine, all of them.")
    ceiling_bytes = models.BigIntegerField(null=True, help_text="For the machine: what might be promised.")
    cap_bytes = models.BigIntegerField(null=True, help_text="For the machine: what there was at the very most.")

    class Meta:
        abstract = True


class Sample(Measured):
    """What the OS said at one moment: one row per worker, and one for the machine. Kept for an hour."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="samples")
    footprint_bytes = models.BigIntegerField(help_text="Held by the worker; for the machine, in use by everybody.")
    available_bytes = models.BigIntegerField(null=True, help_text="For the machine: what the OS could still give.")

    class Meta:
        verbose_name = _("sample")
        verbose_name_plural = _("samples")
        indexes = (models.Index(fields=("node", "at")),)
        ordering = (F("at").desc(),)

    def __str__(self) -> str:
        return f"{self.holder or self.node_id} {self.at:%H:%M:%S}"


class Summary(Measured):
    """The samples of 10 s or of 5 min, beginning at `at`. A worker that lived for half of it has half the mean."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="summaries")
    seconds = models.PositiveIntegerField()
    mean_bytes = models.BigIntegerField()
    max_bytes = models.BigIntegerField()

    class Meta:
        verbose_name = _("summary")
        verbose_name_plural = _("summaries")
        constraints = (
            models.UniqueConstraint(fields=("node", "seconds", "at", "kind", "holder"), name="summary_once_per_span"),
        )

    def __str__(self) -> str:
        return f"{self.holder or self.node_id} {self.at:%H:%M:%S} +{self.seconds} s"


class Event(models.Model):
    """A fact about memory with its figures: who was promised what, who was refused and why, who was ended."""

    class What(models.TextChoices):
        STARTED = "node_started", _("node started")
        RESERVED = "reserved", _("lease reserved")
        BOUND = "bound", _("worker started")
        RESIZED = "resized", _("lease resized")
        RELEASED = "released", _("lease released")
        REFUSED = "refused", _("refused")
        KILLED = "killed", _("worker ended by the watchdog")
        EVICTED = "evicted", _("evicted")
        CEILING = "ceiling", _("ceiling changed")
        SHORT = "short", _("more promised than there is")
        GATE = "gate", _("gate decision")

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    what = models.CharField(max_length=16, choices=What)
    kind = models.CharField(max_length=32, blank=True)
    holder = models.CharField(max_length=200, blank=True)
    lease = models.BigIntegerField(null=True, help_text="The lease's id; its row may be gone.")
    bytes = models.BigIntegerField(null=True)
    message = models.TextField(blank=True)
    said = models.JSONField(default=list, help_text="What the message is made of, to be read in any language.")
    figures = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("memory event")
        verbose_name_plural = _("memory events")
        indexes = (models.Index(fields=("node", "at")), models.Index(fields=("lease",)))
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.what} {self.holder}"

    @property
    def sentence(self) -> str:
        """The message in the language that is active; rows from before there were parts are English."""
        return spelled(self.said) or self.message


class Tally(models.Model):
    """How many events of a kind there ever were: the events themselves are not kept for ever.

    `gate_passed`, `gate_shrunk`, … count an engine's decisions, of which many make one event.
    """

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="tallies")
    what = models.CharField(max_length=16)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        verbose_name = _("tally")
        verbose_name_plural = _("tallies")
        constraints = (models.UniqueConstraint(fields=("node", "what"), name="tally_once_per_node"),)

    def __str__(self) -> str:
        return f"{self.what}: {self.count}"
