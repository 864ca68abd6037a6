"""`/v1/webhooks`: who hears what happens to the jobs of a key."""

from typing import Annotated, Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest
from ninja import Query, Router
from ninja.errors import ValidationError
from pydantic import ValidationError as PydanticError

from fmlx_site.audit import Origin, Source
from fmlx_site.errors import InvalidRequest
from inference.api.body import read_json
from inference.api.errors import ErrorResponse, invalid
from inference.models import ApiKey
from webhooks import deliveries, endpoints
from webhooks.errors import DeliveryNotFound, WebhookNotFound
from webhooks.models import Delivery, Endpoint
from webhooks.schemas import CreateWebhook, DeliveryList, DeliveryShown, Webhook, WebhookDeleted, WebhookList
from webhooks.telling import tell_test

router = Router(tags=["webhooks"])
ERRORS: dict[int, Any] = {401: ErrorResponse, 404: ErrorResponse}
CREATE_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": CreateWebhook.model_json_schema()}}}
}


class AuthorizedRequest(HttpRequest):
    auth: ApiKey


def _origin(request: AuthorizedRequest) -> Origin:
    return Origin(request.auth.owner, Source.API, request.META.get("REMOTE_ADDR", "") or "")


@router.post(
    "", response={200: Webhook, 400: ErrorResponse, **ERRORS}, openapi_extra=CREATE_BODY, summary="Make a webhook"
)
async def create_webhook(request: AuthorizedRequest) -> Webhook:
    """The answer holds the secret that deliveries are signed with (Standard Webhooks). It is shown this once."""
    body = await read_json(request)
    try:
        asked = CreateWebhook.model_validate(body)
    except PydanticError as error:
        problems: list[Any] = error.errors(include_url=False)
        raise invalid(ValidationError(problems)) from None

    def make() -> Webhook:
        return Webhook.of(endpoints.make(request.auth, asked.url, asked.events, _origin(request)), with_secret=True)

    return await sync_to_async(make)()


@router.get("", response={200: WebhookList, **ERRORS}, summary="List webhooks")
async def list_webhooks(request: AuthorizedRequest) -> WebhookList:
    mine = Endpoint.objects.filter(key=request.auth)
    return WebhookList(data=[Webhook.of(endpoint) async for endpoint in mine])


async def _mine(key: ApiKey, webhook_id: str) -> Endpoint:
    endpoint = await Endpoint.objects.filter(pk=webhook_id, key=key).select_related("key").afirst()
    if endpoint is None:
        raise WebhookNotFound(webhook_id)
    return endpoint


@router.get("/{webhook_id}", response={200: Webhook, **ERRORS}, summary="Get a webhook")
async def get_webhook(request: AuthorizedRequest, webhook_id: str) -> Webhook:
    return Webhook.of(await _mine(request.auth, webhook_id))


@router.delete("/{webhook_id}", response={200: WebhookDeleted, **ERRORS}, summary="Remove a webhook")
async def delete_webhook(request: AuthorizedRequest, webhook_id: str) -> WebhookDeleted:
    endpoint = await _mine(request.auth, webhook_id)
    await sync_to_async(lambda: endpoints.remove(endpoint, _origin(request)))()
    return WebhookDeleted(id=webhook_id)


@router.post("/{webhook_id}/secret", response={200: Webhook, **ERRORS}, summary="Give a webhook another secret")
async def renew_secret(request: AuthorizedRequest, webhook_id: str) -> Webhook:
    endpoint = await _mine(request.auth, webhook_id)
    renewed = await sync_to_async(lambda: endpoints.renew_secret(endpoint, _origin(request)))()
    return Webhook.of(renewed, with_secret=True)


@router.post("/{webhook_id}/test", response={200: DeliveryShown, **ERRORS}, summary="Send a webhook.test event")
async def test_webhook(request: AuthorizedRequest, webhook_id: str) -> DeliveryShown:
    endpoint = await _mine(request.auth, webhook_id)
    return await _shown((await sync_to_async(tell_test)(endpoint)).event_id, endpoint)


@router.get(
    "/{webhook_id}/deliveries",
    response={200: DeliveryList, 400: ErrorResponse, **ERRORS},
    summary="List what was sent, newest first",
)
async def list_deliveries(
    request: AuthorizedRequest,
    webhook_id: str,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> DeliveryList:
    endpoint = await _mine(request.auth, webhook_id)
    rows = Delivery.objects.filter(endpoint=endpoint).prefetch_related("log")
    if after is not None:
        cursor = await rows.filter(event_id=after).afirst()
        if cursor is None:
            raise InvalidRequest(f"No delivery of the event {after!r} belongs to this webhook.", param="after")
        rows = rows.filter(number__lt=cursor.number)
    page = [delivery async for delivery in rows[: limit + 1]]
    return DeliveryList(data=[DeliveryShown.of(one) for one in page[:limit]], has_more=len(page) > limit)


@router.post(
    "/{webhook_id}/deliveries/{event_id}/replay",
    response={200: DeliveryShown, 409: ErrorResponse, **ERRORS},
    summary="Send an event once more",
)
async def replay_delivery(request: AuthorizedRequest, webhook_id: str, event_id: str) -> DeliveryShown:
    """Under the same id, so that a receiver that has it knows."""
    endpoint = await _mine(request.auth, webhook_id)
    delivery = await Delivery.objects.filter(endpoint=endpoint, event_id=event_id).afirst()
    if delivery is None:
        raise DeliveryNotFound(event_id)
    await sync_to_async(deliveries.replay)(delivery)
    return await _shown(event_id, endpoint)


async def _shown(event_id: str, endpoint: Endpoint) -> DeliveryShown:
    return DeliveryShown.of(
        await Delivery.objects.filter(endpoint=endpoint).prefetch_related("log").aget(event_id=event_id)
    )
