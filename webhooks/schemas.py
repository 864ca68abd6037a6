"""The shapes of the webhooks API."""

from typing import Literal, Self

from ninja import Schema
from pydantic import ConfigDict, Field

from webhooks.models import Delivery, Endpoint, Try
from webhooks.signing import secret_of
from webhooks.telling import TYPES


class CreateWebhook(Schema):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2000, description="http or https; loopback and the local network are allowed.")
    events: list[str] = Field(default=list(TYPES), max_length=32)


class Webhook(Schema):
    id: str
    object: Literal["webhook"] = "webhook"
    url: str
    events: list[str]
    created_at: int
    gone: bool = Field(description="It answered 410, and nothing is sent there any more.")
    secret: str | None = Field(None, description="Shown when it is made or renewed, and never again.")

    @classmethod
    def of(cls, endpoint: Endpoint, *, with_secret: bool = False) -> Self:
        return cls(
            id=endpoint.id,
            url=endpoint.url,
            events=endpoint.events,
            created_at=int(endpoint.created_at.timestamp()),
            gone=endpoint.gone_at is not None,
            secret=secret_of(endpoint) if with_secret else None,
        )


class WebhookList(Schema):
    object: Literal["list"] = "list"
    data: list[Webhook]


class WebhookDeleted(Schema):
    id: str
    object: Literal["webhook.deleted"] = "webhook.deleted"
    deleted: bool = True


class TryShown(Schema):
    at: int
    status: int | None
    problem: str | None
    seconds: float

    @classmethod
    def of(cls, one: Try) -> Self:
        return cls(at=int(one.at.timestamp()), status=one.status, problem=one.problem or None, seconds=one.seconds)


class DeliveryShown(Schema):
    id: str = Field(description="The event's id, and the webhook-id it is sent with.")
    object: Literal["webhook.delivery"] = "webhook.delivery"
    type: str
    subject: str
    status: str
    created_at: int
    delivered_at: int | None
    next_try_at: int | None
    tries: list[TryShown]

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """`delivery` with its log."""
        pending = delivery.state == Delivery.State.PENDING
        return cls(
            id=delivery.event_id,
            type=delivery.type,
            subject=delivery.subject,
            status=delivery.state,
            created_at=int(delivery.created_at.timestamp()),
            delivered_at=int(delivery.delivered_at.timestamp()) if delivery.delivered_at else None,
            next_try_at=int(delivery.next_at.timestamp()) if pending else None,
            tries=[TryShown.of(one) for one in delivery.log.all()],
        )


class DeliveryList(Schema):
    object: Literal["list"] = "list"
    data: list[DeliveryShown]
    has_more: bool
