"""How long requests are kept: by age, and by count."""

import time
from datetime import timedelta

from django.utils import timezone

from inference.models import RequestLog, UsageHour
from inference.options import LOG_KEEP_COUNT, LOG_KEEP_SECONDS, USAGE_KEEP_SECONDS
from inference.responses import store

LOOK_SECONDS = 60.0


class _Looked:
    at = float("-inf")


def purge_now_and_then() -> None:
    if time.monotonic() - _Looked.at >= LOOK_SECONDS:
        _Looked.at = time.monotonic()
        purge()
        store.purge()


def purge() -> int:
    """How many requests were let go of."""
    now = timezone.now()
    old = RequestLog.objects.filter(at__lt=now - timedelta(seconds=LOG_KEEP_SECONDS.value))
    count, _each = old.delete()
    last = RequestLog.objects.order_by("-id").values_list("id", flat=True)[LOG_KEEP_COUNT.value :].first()
    if last is not None:
        count += RequestLog.objects.filter(id__lte=last).delete()[0]
    UsageHour.objects.filter(hour__lt=now - timedelta(seconds=USAGE_KEEP_SECONDS.value)).delete()
    return count
