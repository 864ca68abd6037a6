"""The audit trail: every change that a person makes to the server, with what was there before."""

from dataclasses import dataclass
from typing import Any, Self

import structlog
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.http import HttpRequest

from fmlx_site.models import Change

log = structlog.get_logger(__name__)
What, Source = Change.What, Change.Source


@dataclass(frozen=True, slots=True)
class Origin:
    """Who changes something, and from where."""

    user: AbstractUser | AnonymousUser | None = None
    source: Change.Source = Source.COMMAND
    address: str = ""

    @classmethod
    def of(cls, request: HttpRequest, source: Change.Source = Source.PAGE) -> Self:
        return cls(request.user, source, request.META.get("REMOTE_ADDR", "") or "")


def record_change(what: Change.What, name: str, old: Any, new: Any, origin: Origin) -> Change:
    """Keep it in the audit trail and say it in the log. `old` and `new` are JSON, None for what was not there.

    Call it in the transaction of the change itself, so that there is none without the other. Secrets never go in.
    """
    user = origin.user if origin.user is not None and origin.user.is_authenticated else None
    who = user.get_username() if user is not None else ""
    address = origin.address[:64]
    where = {"source": str(origin.source), "address": address}
    change = Change.objects.create(
        user_id=user.pk if user else None, who=who, what=what, name=name, old=old, new=new, **where
    )
    log.info("changed", what=str(what), name=name, old=old, new=new, by=who, **where)
    return change
