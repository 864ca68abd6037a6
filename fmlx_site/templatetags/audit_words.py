"""What the audit trail keeps, in the reader's words."""

from typing import Any

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from fmlx_site.users.changes import Role
from fmlx_site.users.rights import PAGES

register = template.Library()

NAMES: dict[str, str | Promise] = {
    "role": gettext_lazy("may"),
    "rights": gettext_lazy("rights"),
    "password": gettext_lazy("password"),
    "closed": pgettext_lazy("account", "closed"),
    "revoked": gettext_lazy("revoked"),
    "name": gettext_lazy("name"),
    "scopes": gettext_lazy("may be used for"),
    "allowed_models": gettext_lazy("models"),
    "expires_at": gettext_lazy("expires"),
    "requests_per_minute": gettext_lazy("requests a minute"),
    "requests_per_day": gettext_lazy("requests a day"),
    "tokens_per_minute": gettext_lazy("tokens a minute"),
    "tokens_per_day": gettext_lazy("tokens a day"),
    "concurrent_requests": gettext_lazy("requests at one time"),
    "alias": gettext_lazy("alias"),
    "type": gettext_lazy("type"),
    "pinned": gettext_lazy("pinned"),
    "default": gettext_lazy("default model"),
    "idle_seconds": gettext_lazy("unloaded after, seconds"),
    "context_limit": gettext_lazy("context limit, tokens"),
    "sampling": gettext_lazy("sampling"),
    "profiles": gettext_lazy("profiles"),
    "profile": gettext_lazy("profile used by default"),
    "searched": gettext_lazy("searched"),
    "path": gettext_lazy("folder"),
    "state": gettext_lazy("state"),
    "model": gettext_lazy("model"),
    "bytes": gettext_lazy("bytes"),
}
VALUES: dict[Any, str | Promise] = {
    **{str(role): role.label for role in Role},
    "changed": gettext_lazy("changed"),
    "made anew": gettext_lazy("made anew"),
    "queued": gettext_lazy("queued"),
    "in_progress": gettext_lazy("in progress"),
    "completed": gettext_lazy("completed"),
    "failed": gettext_lazy("failed"),
    "cancelled": gettext_lazy("cancelled"),
    "paused": gettext_lazy("paused"),
}


@register.filter
def facts(value: Any) -> str:
    """`May: viewer`; a dash for nothing."""
    if isinstance(value, dict):
        return ", ".join(f"{NAMES.get(name, name)}: {facts(part)}" for name, part in value.items())
    if value is None or value in ("", [], {}):
        return "—"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(map(facts, value))
    return _right(value) or str(VALUES.get(value, value))


def _right(permission: Any) -> str:
    """`Videos (delete them)`."""
    for page in PAGES:
        for right in page.rights:
            if right.permission == permission:
                return f"{page.title} ({right.word})"
    return ""
