import secrets

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


def new_id() -> str:
    return secrets.token_hex(8)


class Conversation(models.Model):
    """A tree of messages, of which a reader sees the branch that ends at `leaf`."""

    id = models.CharField(primary_key=True, max_length=16, default=new_id)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations")
    title = models.CharField(max_length=200)
    model = models.CharField(max_length=255, help_text=_("The one that was asked last."))
    system = models.TextField(blank=True)
    parameters = models.JSONField(default=dict, help_text=_("Those of the next answer; absent: the model's own."))
    leaf = models.ForeignKey("Message", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    used_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True, help_text=_("It can be brought back for an hour."))

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        indexes = (models.Index(fields=("owner", "-used_at")),)

    def __str__(self) -> str:
        return self.title


class Message(models.Model):
    """What somebody said. An answer's row is there from its first moment, and is what a reload shows of it."""

    class Role(models.TextChoices):
        USER = "user", pgettext_lazy("role in a conversation", "You")
        ASSISTANT = "assistant", pgettext_lazy("role in a conversation", "Model")

    class State(models.TextChoices):
        ANSWERING = "answering", _("Answering")
        DONE = "done", _("Done")
        STOPPED = "stopped", _("Stopped")
        FAILED = "failed", _("Failed")

    id = models.CharField(primary_key=True, max_length=16, default=new_id)
    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="children")
    role = models.CharField(max_length=16, choices=Role)
    text = models.TextField(blank=True)
    thinking = models.TextField(blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.DONE)
    stop_wanted = models.BooleanField(default=False)
    model = models.CharField(max_length=255, blank=True)
    system = models.TextField(blank=True)
    parameters = models.JSONField(default=dict)
    reason = models.CharField(max_length=16, blank=True, help_text=_("Why it ended: stop or length."))
    figures = models.JSONField(default=dict, help_text=_("Tokens and seconds, as the engine said them."))
    problem = models.JSONField(default=dict, help_text=_("Why it failed: status, code, message."))
    created_at = models.DateTimeField(default=timezone.now)
    saved_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = (models.Index(fields=("conversation", "created_at")),)

    def __str__(self) -> str:
        return f"{self.role}: {self.text[:60]}"

    @property
    def answering(self) -> bool:
        return self.state == self.State.ANSWERING
