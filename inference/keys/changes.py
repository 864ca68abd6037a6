"""Making, changing and revoking keys, each in the audit trail. Every process knows when it is committed (`KEYS`)."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from fmlx_site.audit import Origin, What, record_change
from inference.models import LIMITS, ApiKey

FIELDS = ("name", "scopes", "allowed_models", "expires_at", "priority", *LIMITS)


def make(owner: Any, origin: Origin, secret: str = "", **fields: Any) -> tuple[ApiKey, str]:
    """A key and its secret, which is shown now and never again."""
    with transaction.atomic():
        key, secret = ApiKey.make(fields.pop("name"), owner, secret, **fields)
        record_change(What.KEY, str(key), None, _facts(key), origin)
    return key, secret


def change(key: ApiKey, origin: Origin, **fields: Any) -> bool:
    """Whether anything was different."""
    with transaction.atomic():
        kept = ApiKey.objects.select_for_update().get(pk=key.pk)
        old = _facts(kept)
        for name, value in fields.items():
            setattr(kept, name, value)
        new = _facts(kept)
        differing = [name for name in new if new[name] != old[name]]
        if not differing:
            return False
        kept.save()
        before, after = ({name: facts[name] for name in differing} for facts in (old, new))
        record_change(What.KEY, str(kept), before, after, origin)
    return True


def revoke(key: ApiKey, origin: Origin) -> bool:
    """For good. False if it was revoked already."""
    with transaction.atomic():
        kept = ApiKey.objects.select_for_update().get(pk=key.pk)
        if kept.revoked_at:
            return False
        kept.revoked_at = timezone.now()
        kept.save(update_fields=["revoked_at", "changed_at"])
        record_change(What.KEY, str(kept), {"revoked": False}, {"revoked": True}, origin)
    return True


def _facts(key: ApiKey) -> dict[str, Any]:
    facts = {name: getattr(key, name) for name in FIELDS}
    facts["expires_at"] = key.expires_at.isoformat(timespec="seconds") if key.expires_at else None
    facts["scopes"] = [str(scope) for scope in key.scopes]
    return facts
