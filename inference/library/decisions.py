"""What people decide about models, each change with its line in the audit trail."""

import shutil
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from demo_models.shipped import is_demo, keep_away
from fmlx_site.audit import Origin, What, record_change
from fmlx_site.live import announce
from inference.models import ModelFolder, ModelPlace, ModelSettings
from inference.shelf import rescan_everywhere

CHANGED = "models"
FIELDS = ("alias", "type", "pinned", "default", "idle_seconds", "context_limit", "sampling", "profiles", "profile")


def decide(name: str, origin: Origin, **wanted: Any) -> bool:
    """Set some of a model's settings. The default model is one: another that was it is it no more. False if nothing
    was different.
    """
    with transaction.atomic():
        row = ModelSettings.objects.select_for_update().filter(name=name).first() or ModelSettings(name=name)
        old = {field: getattr(row, field) for field in wanted}
        new = {field: value for field, value in wanted.items() if value != old[field]}
        if not new:
            return False
        if new.get("default"):
            _depose(origin, besides=name)
        for field, value in new.items():
            setattr(row, field, value)
        row.save()
        record_change(What.MODEL, name, {field: old[field] for field in new}, new, origin)
    _tell()
    return True


def drop_profile(name: str, profile: str, origin: Origin) -> bool:
    """A profile that is used by default is used no more. False if there was none."""
    decided = ModelSettings.objects.filter(name=name).first()
    if decided is None or profile not in decided.profiles:
        return False
    left = {title: values for title, values in decided.profiles.items() if title != profile}
    return decide(name, origin, profiles=left, profile="" if decided.profile == profile else decided.profile)


def _depose(origin: Origin, besides: str) -> None:
    for row in ModelSettings.objects.filter(default=True).exclude(name=besides):
        row.default = False
        row.save(update_fields=["default"])
        record_change(What.MODEL, row.name, {"default": True}, {"default": False}, origin)


def add_place(path: str, origin: Origin) -> ModelPlace:
    """Search one more folder for models, on every node that has it. Raises ValidationError."""
    with transaction.atomic():
        place = ModelPlace(path=path)
        place.full_clean()
        place.save()
        record_change(What.MODEL, place.path, None, {"searched": True}, origin)
    async_to_sync(rescan_everywhere)()
    return place


def drop_place(place: ModelPlace, origin: Origin) -> None:
    """Do not search it any more; nothing in it is touched."""
    with transaction.atomic():
        record_change(What.MODEL, place.path, {"searched": True}, None, origin)
        place.delete()
    async_to_sync(rescan_everywhere)()


def remove_demo(folder: ModelFolder, origin: Origin) -> None:
    """Delete a demo model from the disk for good: set-up does not bring it back.

    Raises:
        ValidationError: it is no demo, or not in this server's own folder.
    """
    path, house = Path(folder.path), settings.FMLX.home / "models"
    if not is_demo(path) or path.parent.resolve() != house.resolve():
        raise ValidationError(_("%(name)s is not one of the demo models of this server.") % {"name": folder.name})
    keep_away(house, path.name)
    going = path.with_name(f".{path.name}.removed")
    path.rename(going)
    shutil.rmtree(going)
    record_change(What.MODEL, folder.name, {"path": str(path), "bytes": folder.size_bytes}, None, origin)
    ModelFolder.objects.filter(pk=folder.pk).delete()
    async_to_sync(rescan_everywhere)()


def _tell() -> None:
    async_to_sync(announce)(CHANGED, "models.changed")
