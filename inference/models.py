import hashlib
import os
import secrets
from itertools import islice
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from inference.downloads.models import Download as Download  # noqa: PLC0414 - the app's models are here for all to import

KEY_PREFIX = "fmlx-"
SHOWN_CHARACTERS = len(KEY_PREFIX) + 6
ANONYMOUS_DIGEST = "anonymous"  # of the key of who asks without one: no digest of any secret
LIMITS = ("requests_per_minute", "requests_per_day", "tokens_per_minute", "tokens_per_day", "concurrent_requests")


class Scope(models.TextChoices):
    """What a key may be used for."""

    CHAT = "chat", _("chat and completions")
    EMBEDDINGS = "embeddings", _("embeddings and reranking")
    VIDEOS = "videos", _("videos")
    MODELS = "models:write", _("loading, unloading and downloading models")
    METRICS = "metrics", _("memory and metrics")
    ADMIN = "admin", _("everything, and what other keys did")


def every_scope() -> list[str]:
    return [str(scope) for scope in Scope]


class ApiKey(models.Model):
    """A client's credential. Only its SHA-256 is kept: 32 random bytes need no slow hash.

    A limit that is None is no limit. Change one with `inference.keys.changes`, which tells every process.
    """

    name = models.CharField(_("Name"), max_length=100)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    prefix = models.CharField(max_length=16, help_text=_("The first characters, to recognise the key by."))
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(_("May be used for"), default=every_scope)
    allowed_models = models.JSONField(
        _("Models"), default=list, blank=True, help_text=_("The only models that it sees; none named: all.")
    )
    requests_per_minute = models.PositiveIntegerField(_("Requests a minute"), null=True, blank=True)
    requests_per_day = models.PositiveIntegerField(_("Requests a day"), null=True, blank=True)
    tokens_per_minute = models.PositiveBigIntegerField(_("Tokens a minute"), null=True, blank=True)
    tokens_per_day = models.PositiveBigIntegerField(_("Tokens a day"), null=True, blank=True)
    concurrent_requests = models.PositiveIntegerField(_("Requests at one time"), null=True, blank=True)
    priority = models.SmallIntegerField(
        _("Priority"), default=0, help_text=_("Of its videos: those of a higher one go first.")
    )
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(auto_now=True)
    expires_at = models.DateTimeField(_("Expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("revoked_at", "-created_at")
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def make(cls, name: str, owner: models.Model, secret: str = "", **fields: Any) -> tuple[Self, str]:
        """A saved key and its secret, which is not kept anywhere."""
        secret = secret or KEY_PREFIX + secrets.token_urlsafe(32)
        shown, hashed = secret[:SHOWN_CHARACTERS], digest(secret)
        return cls.objects.create(name=name, owner=owner, prefix=shown, digest=hashed, **fields), secret

    @property
    def expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def limited(self) -> bool:
        return any(getattr(self, name) is not None for name in LIMITS)

    def may(self, scope: str) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def sees(self, *names: str) -> bool:
        """Whether a model of one of these names is there for it."""
        return not self.allowed_models or any(name in self.allowed_models for name in names)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class KeyMeter(models.Model):
    """What a limited key used of its limits: the running minute and day, counted by every site process."""

    key = models.OneToOneField(ApiKey, on_delete=models.CASCADE, related_name="meter")
    minute = models.BigIntegerField(default=0, help_text="Minutes since 1970, in UTC.")
    minute_requests = models.PositiveBigIntegerField(default=0)
    minute_tokens = models.PositiveBigIntegerField(default=0)
    day = models.BigIntegerField(default=0, help_text="Days since 1970, in UTC.")
    day_requests = models.PositiveBigIntegerField(default=0)
    day_tokens = models.PositiveBigIntegerField(default=0)
    running = models.JSONField(default=dict, help_text="By process: how many requests, and when it last said so.")

    class Meta:
        verbose_name = _("meter of a key")
        verbose_name_plural = _("meters of keys")

    def __str__(self) -> str:
        return f"meter of {self.key_id}"


class RequestLog(models.Model):
    """One answered or refused request. Seconds; what was never measured is null."""

    request_id = models.CharField(max_length=64, db_index=True)
    at = models.DateTimeField(db_index=True, help_text=_("When it came."))
    key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="requests")
    model = models.CharField(max_length=255, blank=True)
    endpoint = models.CharField(max_length=128)
    status = models.PositiveSmallIntegerField(help_text=_("499: the client left before the end."))
    code = models.CharField(max_length=64, blank=True, help_text=_("Why it was refused or failed."))
    streamed = models.BooleanField(default=False)
    prompt_tokens = models.PositiveIntegerField(default=0)
    completion_tokens = models.PositiveIntegerField(default=0)
    cached_tokens = models.PositiveIntegerField(default=0)
    queue_seconds = models.FloatField(null=True)
    first_token_seconds = models.FloatField(null=True)
    tokens_per_second = models.FloatField(null=True)
    seconds = models.FloatField()
    process = models.CharField(max_length=64, blank=True, help_text=_("The site process that answered."))
    body = models.TextField(blank=True, help_text=_("What was sent, if the settings say that it is kept."))

    class Meta:
        ordering = ("-id",)
        verbose_name = _("request")
        verbose_name_plural = _("requests")
        indexes = (models.Index(fields=("key", "-id")), models.Index(fields=("model", "-id")))

    def __str__(self) -> str:
        return self.request_id


class UsageHour(models.Model):
    """What a key asked of a model in one hour; it stays when the requests themselves are gone."""

    hour = models.DateTimeField()
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="usage")
    model = models.CharField(max_length=255, blank=True)
    requests = models.PositiveBigIntegerField(default=0)
    errors = models.PositiveBigIntegerField(default=0, help_text=_("Answered with a status of 400 or more."))
    prompt_tokens = models.PositiveBigIntegerField(default=0)
    completion_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0.0)

    class Meta:
        verbose_name = _("usage")
        verbose_name_plural = _("usage")
        indexes = (models.Index(fields=("hour",)),)
        constraints = (models.UniqueConstraint(fields=("hour", "key", "model"), name="usage_once"),)

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}:00 {self.model}"


class Histogram(models.Model):
    """A histogram for Prometheus since ever, whichever process answered. `counts` are not cumulative."""

    metric = models.CharField(max_length=32)
    endpoint = models.CharField(max_length=128)
    model = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=3, blank=True)
    counts = models.JSONField(default=list)
    total = models.FloatField(default=0.0)

    class Meta:
        verbose_name = _("histogram")
        verbose_name_plural = _("histograms")
        constraints = (
            models.UniqueConstraint(fields=("metric", "endpoint", "model", "status"), name="histogram_once"),
        )

    def __str__(self) -> str:
        return f"{self.metric} {self.endpoint} {self.model} {self.status}"


class StoredResponse(models.Model):
    """What `POST /v1/responses` gave, or will give, for who asks again or goes on from it. Seen by its key only.

    `inference/responses/store.py` makes every change of it.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        IN_PROGRESS = "in_progress", _("in progress")
        COMPLETED = "completed", _("completed")
        INCOMPLETE = "incomplete", _("incomplete")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    id = models.CharField(primary_key=True, max_length=64)
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="responses")
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    status = models.CharField(max_length=16, choices=Status)
    background = models.BooleanField(default=False)
    streamed = models.BooleanField(default=False)
    asked = models.JSONField(default=dict, help_text="The request, as long as it may have to be made again.")
    before = models.JSONField(default=list, help_text="The ids of the responses it goes on from, the first one first.")
    input = models.JSONField(default=list, help_text="Its own items.")
    body = models.JSONField(default=dict, help_text="The response as it is answered.")
    size_bytes = models.PositiveBigIntegerField(default=0)
    maker = models.CharField(max_length=64, blank=True, help_text="The process that makes it.")
    seen_at = models.DateTimeField(null=True, help_text="When that last said so.")
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name = _("stored response")
        verbose_name_plural = _("stored responses")

    def __str__(self) -> str:
        return self.id

    @property
    def ended(self) -> bool:
        return self.status not in (self.Status.QUEUED, self.Status.IN_PROGRESS)


class ResponseEvents(models.Model):
    """Some of a response's stream: events `first` to `last`, as they were sent."""

    response = models.ForeignKey(StoredResponse, on_delete=models.CASCADE, related_name="events")
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField()
    text = models.TextField()

    class Meta:
        ordering = ("first",)
        verbose_name = _("response events")
        verbose_name_plural = _("response events")
        constraints = (models.UniqueConstraint(fields=("response", "first"), name="response_events_once"),)

    def __str__(self) -> str:
        return f"{self.response_id} {self.first}"


class ModelFolder(models.Model):
    """A folder of weights that a node found, and what it is; or why it is not served."""

    class Type(models.TextChoices):
        VIDEO = "video", _("video")
        CHAT = "chat", _("chat")
        EMBEDDING = "embedding", _("embeddings")
        RERANK = "rerank", _("reranking")
        UPSCALE = "upscale", _("upscaling")
        UNSERVED = "", _("not served")

    node = models.ForeignKey("memory.Node", on_delete=models.CASCADE, related_name="model_folders")
    name = models.CharField(max_length=255, help_text=_("The id clients use."))
    path = models.CharField(max_length=4096)
    type = models.CharField(max_length=16, choices=Type, blank=True)
    pipeline = models.CharField(max_length=64, blank=True)
    size_bytes = models.BigIntegerField(default=0)
    resident_bytes = models.BigIntegerField(default=0, help_text=_("The most weights in memory at one time."))
    context_window = models.PositiveIntegerField(null=True, blank=True, help_text=_("Tokens, as its config.json says."))
    sizes = models.JSONField(default=dict, help_text="Of a video model's parts, as their configs say: heads, widths.")
    defaults = models.JSONField(default=dict, help_text=_("Request defaults from the folder's own fmlx.json."))
    rank = models.SmallIntegerField(default=0, help_text=_("Below 0 for demos: a real model is chosen before them."))
    skipped_because = models.TextField(blank=True)
    skipped_said = models.JSONField(default=list, help_text=_("The same, to be said in the reader's language."))
    found_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("model folder")
        verbose_name_plural = _("model folders")
        constraints = (models.UniqueConstraint(fields=("node", "path"), name="folder_once_per_node"),)
        indexes = (models.Index(fields=("name", "type")),)

    def __str__(self) -> str:
        return self.name


SERVED_TYPES = [choice for choice in ModelFolder.Type.choices if choice[0]]


class ModelSettings(models.Model):
    """What an operator decided about a model, by its name: it outlives the folder, and holds on every node."""

    name = models.CharField(max_length=255, unique=True, help_text=_("The model's name, as its folder gives it."))
    alias = models.CharField(max_length=255, blank=True, help_text=_("Another name that clients may use."))
    type = models.CharField(max_length=16, choices=SERVED_TYPES, blank=True, help_text=_("In place of what was found."))
    pinned = models.BooleanField(default=False, help_text=_("Loaded at the start, and never evicted."))
    default = models.BooleanField(default=False, help_text=_("Used when a request names no model."))
    idle_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Unloaded after so long without a request; 0 means never.")
    )
    context_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text=_("Tokens, prompt and answer together; at most the model's own.")
    )
    sampling = models.JSONField(
        default=dict, blank=True, help_text=_("What holds for a request that does not say, as in its body.")
    )
    profiles = models.JSONField(
        default=dict, blank=True, help_text=_("Named sampling, for requests that ask for MODEL:NAME.")
    )
    profile = models.CharField(
        max_length=64, blank=True, help_text=_("The profile of requests that name the model alone.")
    )

    class Meta:
        verbose_name = _("model settings")
        verbose_name_plural = _("model settings")
        constraints = (
            models.UniqueConstraint(fields=("alias",), condition=~Q(alias=""), name="alias_of_one_model"),
            models.UniqueConstraint(fields=("default",), condition=Q(default=True), name="one_default_model"),
        )

    def __str__(self) -> str:
        return self.name


MOST_ENTRIES = 50_000  # files and folders that a node looks at every few seconds


class ModelPlace(models.Model):
    """A folder that an operator had searched for models, besides the house's own and those of FMLX_MODEL_DIRS."""

    path = models.CharField(max_length=4096, unique=True)
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("searched folder")
        verbose_name_plural = _("searched folders")
        ordering = ("path",)

    def __str__(self) -> str:
        return self.path

    def clean(self) -> None:
        """Raises ValidationError for what cannot be searched, or is already."""
        path = Path(self.path).expanduser()
        if not path.is_absolute():
            raise ValidationError({"path": _("Give the whole path, from / on.")})
        path = path.resolve()
        self.path = str(path)
        if not path.is_dir():
            raise ValidationError({"path": _("There is no folder %(path)s on this machine.") % {"path": path}})
        for known in (*settings.FMLX.models, *map(Path, ModelPlace.objects.values_list("path", flat=True))):
            if path == known or known in path.parents:
                raise ValidationError({"path": _("%(path)s is searched already.") % {"path": known}})
        self._check_size(path)

    def _check_size(self, path: Path) -> None:
        try:
            with os.scandir(path):  # `walk` passes over what it cannot read, and over what goes while it looks
                below = (name for _, folders, files in os.walk(path) for name in (*folders, *files))
            entries = sum(1 for _ in islice(below, MOST_ENTRIES))
        except OSError as error:
            raise ValidationError({"path": _("It cannot be read: %(problem)s.") % {"problem": error}}) from error
        if entries == MOST_ENTRIES:
            text = _("It has %(most)d files and folders or more, too many to look through. Name a folder inside it.")
            raise ValidationError({"path": text % {"most": MOST_ENTRIES}})


def searched_folders() -> list[Path]:
    """Where models are looked for: the house's own folder first, those of the environment, those that were added."""
    return [*settings.FMLX.models, *map(Path, ModelPlace.objects.values_list("path", flat=True))]
