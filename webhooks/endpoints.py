"""Making, changing and removing webhooks, each in the audit trail of its key."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from fmlx_site.audit import Origin, What, record_change
from fmlx_site.errors import InvalidRequest
from inference.models import ApiKey
from webhooks.errors import TooManyWebhooks
from webhooks.models import Endpoint, new_salt
from webhooks.targets import checked
from webhooks.telling import TYPES

MOST = 16  # of one key


def make(key: ApiKey, url: str, events: Sequence[str], origin: Origin) -> Endpoint:
    """Raises InvalidRequest, TooManyWebhooks."""
    unknown = sorted(set(events) - set(TYPES))
    if unknown or not events:
        raise InvalidRequest(f"may hold {', '.join(TYPES)}, and at least one of them.", param="events")
    with transaction.atomic():
        if Endpoint.objects.filter(key=key).count() >= MOST:
            raise TooManyWebhooks(f"This key has {MOST} webhooks already, which is the most; remove one.", param="url")
        made = Endpoint.objects.create(key=key, url=checked(url), events=sorted(set(events)))
        _record(key, None, made.url, origin)
    return made


def renew_secret(endpoint: Endpoint, origin: Origin) -> Endpoint:
    """What is sent from now on is signed with another secret."""
    with transaction.atomic():
        endpoint.salt = new_salt()
        endpoint.save(update_fields=["salt"])
        _record(endpoint.key, endpoint.url, f"{endpoint.url} (another secret)", origin)
    return endpoint


def remove(endpoint: Endpoint, origin: Origin) -> None:
    """With what was still on its way."""
    with transaction.atomic():
        _record(endpoint.key, endpoint.url, None, origin)
        endpoint.delete()


def _record(key: ApiKey, old: Any, new: Any, origin: Origin) -> None:
    record_change(What.KEY, str(key), {"webhook": old}, {"webhook": new}, origin)
