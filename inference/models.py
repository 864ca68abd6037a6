import hashlib
import secrets
from itertools import islice
from pathlib import Path
from typing import Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

KEY_PREFIX = "fmlx-"
SHOWN_CHARACTERS = len(KEY_PREFIX) + 6


class ApiKey(models.Model):
    """A client's credential. Only its SHA-256 is kept: 32 random bytes need no slow hash."""

    name = models.CharField(max_length=100)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    prefix = models.CharField(max_length=16, help_text=_("The first characters, to recognise the key by."))
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=timezone.now)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @classmethod
    def make(cls, name: str, owner: models.Model, secret: str = "") -> tuple[Self, str]:
        """A saved key and its secret, which is not kept anywhere."""
        secret = secret or KEY_PREFIX + secrets.token_urlsafe(32)
        key = cls.objects.create(name=name, owner=owner, prefix=secret[:SHOWN_CHARACTERS], digest=digest(secret))
        return key, secret


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class ModelFolder(models.Model):
    """A folder of weights that a node found, and what it is; or why it is not served."""

    class Type(models.TextChoices):
        VIDEO = "video", _("video")
        CHAT = "chat", _("chat")
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
            entries = sum(1 for _entry in islice(path.rglob("*"), MOST_ENTRIES))
        except OSError as error:
            raise ValidationError({"path": _("It cannot be read: %(problem)s.") % {"problem": error}}) from error
        if entries == MOST_ENTRIES:
            text = _("It has %(most)d files and folders or more, too many to look through. Name a folder inside it.")
            raise ValidationError({"path": text % {"most": MOST_ENTRIES}})


def searched_folders() -> list[Path]:
    """Where models are looked for: the house's own folder first, those of the environment, those that were added."""
    return [*settings.FMLX.models, *map(Path, ModelPlace.objects.values_list("path", flat=True))]
