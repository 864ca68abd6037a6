"""What webhooks refuse."""

from fmlx_site.errors import Conflict, InvalidRequest, NotFound


class WebhookNotFound(NotFound):
    code = "webhook_not_found"

    def __init__(self, webhook_id: str) -> None:
        super().__init__(f"No webhook with the id {webhook_id!r} belongs to this key.", param="webhook_id")


class DeliveryNotFound(NotFound):
    code = "delivery_not_found"

    def __init__(self, event_id: str) -> None:
        super().__init__(f"No delivery of the event {event_id!r} belongs to this webhook.", param="event_id")


class StillOnItsWay(Conflict):
    code = "delivery_pending"


class TooManyWebhooks(InvalidRequest):
    code = "too_many_webhooks"
