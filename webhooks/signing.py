"""Standard Webhooks' signature: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md."""

import base64
import hashlib
import hmac

from django.conf import settings

from webhooks.models import Endpoint

PREFIX = "whsec_"


def _raw(endpoint: Endpoint) -> bytes:
    """Made of the server's secret key, so that whoever reads the database cannot sign."""
    return hmac.digest(settings.SECRET_KEY.encode(), f"webhook:{endpoint.salt}".encode(), hashlib.sha256)


def secret_of(endpoint: Endpoint) -> str:
    return PREFIX + base64.b64encode(_raw(endpoint)).decode()


def headers_of(endpoint: Endpoint, event_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """`timestamp` is that of this try, seconds since 1970: receivers refuse what is old."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(_raw(endpoint), signed, hashlib.sha256)).decode()
    return {"webhook-id": event_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}
