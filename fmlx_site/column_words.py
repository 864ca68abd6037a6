"""Names of the columns in the administration, in the reader's language.

Models name their fields in code's words; here those that the administration's lists and filters show have a name for
people. It is not in the models, so that another word is no migration.
"""

from django.apps import apps
from django.utils.translation import gettext_lazy as _

APPS = ("fmlx_site", "memory", "inference", "videos", "chat", "webhooks")
WORDS = {
    "added_at": _("added"),
    "address": _("address"),
    "alias": _("alias"),
    "at": _("when"),
    "attempt_count": _("attempts"),
    "attempts": _("attempts"),
    "available_bytes": _("available, bytes"),
    "backend": _("computes on"),
    "background": _("in the background"),
    "bytes": _("bytes"),
    "cached_tokens": _("cached tokens"),
    "ceiling_bytes": _("ceiling, bytes"),
    "changed_at": _("changed"),
    "code": _("error code"),
    "completed_at": _("completed"),
    "completion_tokens": _("tokens out"),
    "context_limit": _("context limit, tokens"),
    "conversation": _("conversation"),
    "created_at": _("made"),
    "day_requests": _("requests today"),
    "day_tokens": _("tokens today"),
    "default": _("default model"),
    "deleted_at": _("deleted"),
    "delivered_at": _("delivered"),
    "delivery": _("delivery"),
    "endpoint": _("endpoint"),
    "error_code": _("error code"),
    "events": _("events"),
    "errors": _("refused or failed"),
    "fence": _("fence"),
    "footprint_bytes": _("holds, bytes"),
    "found_at": _("found"),
    "gone_at": _("given up"),
    "frames": _("frames"),
    "heartbeat_at": _("heard of last"),
    "height": _("height"),
    "holder": _("holder"),
    "hour": _("hour"),
    "idle_seconds": _("unloaded after, seconds"),
    "job": _("video"),
    "key": _("key"),
    "kind": _("kind"),
    "language": _("language"),
    "last_used_at": _("last used"),
    "lease_bytes": _("lease, bytes"),
    "machine": _("machine"),
    "made_at": _("made"),
    "max_bytes": _("most, bytes"),
    "mean_bytes": _("mean, bytes"),
    "measured_at": _("measured"),
    "measured_tokens": _("largest that was measured, tokens"),
    "media_type": _("media type"),
    "message": _("what was said"),
    "minute_requests": _("requests this minute"),
    "minute_tokens": _("tokens this minute"),
    "model": _("model"),
    "name": _("name"),
    "new": _("after"),
    "node": _("node"),
    "number": _("number"),
    "old": _("before"),
    "outcome": _("outcome"),
    "owner": _("owner"),
    "password_was_made": _("password made by the server"),
    "path": _("folder or file"),
    "paused": _("paused"),
    "peak_bytes": _("peak, bytes"),
    "pid": _("process"),
    "pinned": _("pinned"),
    "pipeline": _("pipeline"),
    "prefix": _("begins with"),
    "problem": _("problem"),
    "progress": _("progress, %"),
    "prompt": _("prompt"),
    "prompt_tokens": _("tokens in"),
    "purged_at": _("file removed"),
    "requests": _("requests"),
    "reused": _("was there already"),
    "revoked_at": _("revoked"),
    "role": _("who"),
    "sampling": _("sampling"),
    "seconds": _("seconds"),
    "size_bytes": _("size, bytes"),
    "skipped_because": _("why it is not served"),
    "source": _("from where"),
    "started_at": _("started"),
    "state": _("state"),
    "status": _("state"),
    "subject": _("about"),
    "theme": _("colours"),
    "tries": _("tries"),
    "type": _("type"),
    "used_at": _("used"),
    "user": _("user"),
    "value": _("value"),
    "variant": _("variant"),
    "wall_seconds": _("seconds"),
    "what": _("what"),
    "who": _("who"),
    "width": _("width"),
}

# What Django's administration and its guard of passwords say, and have no Chinese for.
OF_OTHERS = (_("Model name"), _("Add link"), _("Change or view list link"), _("access attempts"))


def name_columns() -> None:
    """For fields whose model gives no name of its own."""
    for label in APPS:
        for model in apps.get_app_config(label).get_models():
            for field in model._meta.fields:  # noqa: SLF001 - Django's documented way to a model's fields
                if field._verbose_name is None and field.name in WORDS:  # type: ignore[attr-defined]  # noqa: SLF001
                    field.verbose_name = WORDS[field.name]
