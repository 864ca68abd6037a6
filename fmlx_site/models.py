from django.conf import settings
from django.db import models
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class StoredOption(models.Model):
    """What an operator chose in place of an option's default; without a row the default holds."""

    name = models.CharField(max_length=64, unique=True)
    value = models.JSONField(null=True, help_text=_("In bytes, seconds and shares."))

    class Meta:
        verbose_name = _("setting")
        verbose_name_plural = _("settings")

    def __str__(self) -> str:
        return self.name


class Change(models.Model):
    """Who changed what, when, from where, and what it was before. Written by `audit.record_change`, never edited."""

    class What(models.TextChoices):
        SETTING = "setting", _("setting")
        KEY = "key", _("API key")
        MODEL = "model", _("model")
        USER = "user", _("user")
        VIDEO = "video", _("video")
        LEASE = "lease", _("lease")
        CACHE = "cache", _("cache")

    class Source(models.TextChoices):
        PAGE = "page", _("page")
        IMPORT = "import", _("import")
        ADMIN = "admin", _("administration")
        API = "api", _("API")
        COMMAND = "command", _("command line")

    at = models.DateTimeField(default=timezone.now, db_index=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="changes")
    who = models.CharField(max_length=150, blank=True, help_text=_("The user's name at that time."))
    what = models.CharField(max_length=16, choices=What)
    name = models.CharField(max_length=255, help_text=_("Of the setting, the key or the model."))
    old = models.JSONField(null=True)
    new = models.JSONField(null=True)
    source = models.CharField(max_length=16, choices=Source)
    address = models.CharField(max_length=64, blank=True, help_text=_("Of the machine the request came from."))

    class Meta:
        verbose_name = _("change")
        verbose_name_plural = _("changes")
        ordering = (F("at").desc(), F("id").desc())

    def __str__(self) -> str:
        return f"{self.what} {self.name}"


class Profile(models.Model):
    """How a user wants the pages, on whichever machine they log in."""

    class Theme(models.TextChoices):
        SYSTEM = "", _("as the system has it")
        LIGHT = "light", _("light")
        DARK = "dark", _("dark")

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="profile")
    language = models.CharField(max_length=16, blank=True)
    theme = models.CharField(max_length=8, choices=Theme, blank=True)
    password_was_made = models.BooleanField(default=False, help_text=_("By the server, and is still to be changed."))

    class Meta:
        verbose_name = _("profile")
        verbose_name_plural = _("profiles")
        permissions = (("view_logs", "Can read the logs of the server and its workers"),)

    def __str__(self) -> str:
        return str(self.user)
