"""Where options are kept, and how a change gets there and to every process."""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError, transaction
from django.utils.translation import gettext as _

from fmlx_site.audit import Origin, What, record_change
from fmlx_site.live import announce, listening
from fmlx_site.models import Change, StoredOption
from fmlx_site.options import OPTIONS, STORED, groups, in_effect

log = structlog.get_logger(__name__)
GROUP = "options"  # who hears that one was changed
CHECK_SECONDS = 2.0  # so old may be what a process knows, if it was not told
FORMAT = 1


class _Checked:
    at = float("-inf")


def load() -> None:
    """One query of a small table. What cannot be understood, of another version for example, is said and left out."""
    _Checked.at = time.monotonic()
    kept: dict[str, Any] = {}
    for name, value in StoredOption.objects.values_list("name", "value"):
        try:
            kept[name] = OPTIONS[name].understand(value)
        except (KeyError, ValidationError) as error:
            log.warning("option_not_understood", name=name, value=value, reason=str(error))
    if not STORED.loaded:
        STORED.at_start = kept
    STORED.now, STORED.loaded = kept, True


async def keep_current() -> None:
    """Look what is stored if the last look is some seconds old; without the database what is known goes on to hold."""
    if time.monotonic() - _Checked.at < CHECK_SECONDS:
        return
    _Checked.at = time.monotonic()  # one request looks, the others go on meanwhile
    try:
        await sync_to_async(load)()
    except (DatabaseError, InterfaceError) as error:
        log.warning("options_not_read", reason=str(error))


async def follow() -> None:
    """Know of changes at once, until cancelled."""
    async with listening(GROUP) as listener:
        while True:
            _Checked.at = float("-inf")
            await keep_current()
            await listener.next(CHECK_SECONDS)


def change(wanted: Mapping[str, Any], origin: Origin) -> list[Change]:
    """Set options, values as they are kept; a default's own value means the default. All of them or none.

    Raises:
        ValidationError: with what is wrong at each option.
    """
    with transaction.atomic():
        list(StoredOption.objects.select_for_update())
        load()
        values = _understood(wanted)
        _check_together(values)
        changes = [_set(name, value, origin) for name, value in values.items() if value != OPTIONS[name].stored]
    load()
    if changes:
        async_to_sync(announce)(GROUP, "options.changed")
    return changes


def _understood(wanted: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    problems: dict[str, list[str]] = {}
    for name, value in wanted.items():
        if name not in OPTIONS:
            problems[name] = [_("There is no such setting.")]
            continue
        try:
            values[name] = OPTIONS[name].understand(value)
        except ValidationError as error:
            problems[name] = error.messages
    if problems:
        raise ValidationError(problems)
    return values


def _check_together(values: Mapping[str, Any]) -> None:
    chosen = {option.name: option.stored for option in OPTIONS.values()} | dict(values)
    effective = in_effect(chosen)
    found: dict[str, list[str]] = {}
    for name, why in (problem for group in groups() if group.check for problem in group.check(effective)):
        if OPTIONS[name].group.name in {OPTIONS[changed].group.name for changed in values}:
            found.setdefault(name, []).append(why)
    if found:
        raise ValidationError(found)


def _set(name: str, value: Any, origin: Origin) -> Change:
    option = OPTIONS[name]
    old = option.stored
    if value == option.default:
        StoredOption.objects.filter(name=name).delete()
    else:
        StoredOption.objects.update_or_create(name=name, defaults={"value": value})
    return record_change(What.SETTING, name, old, value, origin)


def reset(names: Iterable[str], origin: Origin) -> list[Change]:
    """Back to the defaults. Raises ValidationError if those do not go together with the rest."""
    return change({name: OPTIONS[name].default for name in names}, origin)


def exported() -> str:
    """Every option as it is stored, as JSON: bytes, seconds and shares."""
    chosen = {name: option.stored for name, option in sorted(OPTIONS.items())}
    return json.dumps({"fmlx_settings": FORMAT, "options": chosen}, indent=2, ensure_ascii=False) + "\n"


def import_text(text: str, origin: Origin) -> list[Change]:
    """What `exported` wrote, or a part of it; what it does not name stays. All or none: raises ValidationError."""
    try:
        said = json.loads(text)
    except ValueError as error:
        raise ValidationError(_("The file is not JSON: %(problem)s.") % {"problem": error}) from error
    known = isinstance(said, dict) and said.get("fmlx_settings") == FORMAT and isinstance(said.get("options"), dict)
    if not known:
        raise ValidationError(_("The file does not hold settings that this version of fmlx has exported."))
    return change(said["options"], origin)
