"""The node's part that delivers: what is due is sent, each try is written down."""

import asyncio
import time

import structlog
from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError

from webhooks import deliveries
from webhooks.models import Delivery
from webhooks.sending import Sender

log = structlog.get_logger(__name__)
LOOK_SECONDS = 1.0
TIDY_SECONDS = 3600.0


async def keep_delivering() -> None:
    """Until cancelled. What is cut off in the middle of a try is tried again, under the same id."""
    sender = Sender()
    tidy_at = time.monotonic()
    try:
        while True:
            sent = await _round(sender)
            if time.monotonic() >= tidy_at:
                await sync_to_async(deliveries.forget_old)()
                tidy_at = time.monotonic() + TIDY_SECONDS
            if not sent:
                await asyncio.sleep(LOOK_SECONDS)
    finally:
        await sender.close()


async def _round(sender: Sender) -> int:
    """Returns how many were tried."""
    try:
        mine = await sync_to_async(deliveries.claim)()
        await asyncio.gather(*(_deliver(sender, delivery) for delivery in mine))
    except (DatabaseError, InterfaceError):
        log.exception("Webhooks could not be read or written down; trying again.")
        return 0
    return len(mine)


async def _deliver(sender: Sender, delivery: Delivery) -> None:
    answer = await sender.send(delivery)
    await sync_to_async(deliveries.write_down)(delivery, answer)
    facts = {"delivery": delivery.event_id, "type": delivery.type, "status": answer.status, "problem": answer.problem}
    log.info("Webhook delivered." if answer.taken else "Webhook not delivered.", to=delivery.endpoint_id, **facts)
