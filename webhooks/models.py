import secrets
import uuid

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from inference.models import ApiKey

URL_LENGTH = 2000


def new_endpoint_id() -> str:
    return f"whe_{uuid.uuid4().hex}"


def new_event_id() -> str:
    return f"evt_{uuid.uuid4().hex}"


def new_salt() -> str:
    return secrets.token_hex(32)


class Endpoint(models.Model):
    """An address that hears what happens to the jobs of a key. Its secret is made of `salt` and never kept."""

    id = models.CharField(primary_key=True, max_length=64, default=new_endpoint_id, editable=False)
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(max_length=URL_LENGTH)
    events = models.JSONField(default=list, help_text="The types it hears of.")
    salt = models.CharField(max_length=64, default=new_salt)
    created_at = models.DateTimeField(default=timezone.now)
    gone_at = models.DateTimeField(null=True, help_text="It answered 410: nothing is sent there any more.")

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering = ("created_at", "id")

    def __str__(self) -> str:
        return self.url


class Delivery(models.Model):
    """An event on its way to an endpoint; written in the transaction of what it tells of."""

    class State(models.TextChoices):
        PENDING = "pending", _("on its way")
        DELIVERED = "delivered", _("delivered")
        GIVEN_UP = "given_up", _("given up")

    number = models.BigAutoField(primary_key=True)
    event_id = models.CharField(max_length=64, unique=True, default=new_event_id, editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries")
    type = models.CharField(max_length=64)
    subject = models.CharField(max_length=64, help_text="Events of one subject are delivered in their order.")
    body = models.TextField(help_text="What is sent, to the byte.")
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    created_at = models.DateTimeField(default=timezone.now)
    since = models.DateTimeField(default=timezone.now, help_text="Of the first try, or of the last replay.")
    next_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True, help_text="A node is sending it now.")
    tries = models.PositiveIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ("-number",)
        indexes = (
            models.Index(fields=("next_at",), condition=Q(state="pending"), name="delivery_due"),
            models.Index(fields=("endpoint", "subject", "number"), condition=Q(state="pending"), name="delivery_order"),
            models.Index(fields=("endpoint", "-number"), name="delivery_log"),
        )

    def __str__(self) -> str:
        return f"{self.event_id} {self.type}"


class Try(models.Model):
    """One try to deliver. What the receiver answered beside its status is not kept."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField(default=timezone.now)
    status = models.PositiveSmallIntegerField(null=True)
    problem = models.TextField(blank=True)
    seconds = models.FloatField()

    class Meta:
        verbose_name = _("try")
        verbose_name_plural = _("tries")
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.delivery_id} {self.status}"
