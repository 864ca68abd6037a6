"""What people and programs ask of downloads, each with its line in the audit trail."""

from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils.translation import gettext as _

from fmlx_site.audit import Origin, What, record_change
from fmlx_site.errors import Conflict
from fmlx_site.live import announce
from inference.downloads import rows
from inference.downloads.models import Download
from inference.downloads.names import Wanted
from inference.models import ModelFolder

CHANGED = "downloads"  # pages hear that one is another
NODES = "downloads.nodes"  # nodes hear that there is something to do
State = Download.State


def ask(wanted: Wanted, origin: Origin) -> Download:
    """The download of it: the one that there is, in line again if it had ended and its model is not there."""
    user = origin.user if origin.user is not None and origin.user.is_authenticated else None
    who = {"user_id": user.pk if user else None}
    with transaction.atomic():
        row, new = Download.objects.get_or_create(repository=wanted.repository, revision=wanted.revision, defaults=who)
        if new or (not row.active and not _is_there(row) and rows.requeue(row, **who)):
            _record(row, "", origin)
    return row


def cancel(row: Download, origin: Origin) -> None:
    """What came of it is removed by its node. Raises Conflict when it has ended."""
    with transaction.atomic():
        before = row.state
        if not rows.cancel(row):
            raise Conflict(_("The download of %(name)s has ended.") % {"name": row.repository})
        _record(row, before, origin)


def remove(row: Download, origin: Origin) -> None:
    """From the list, cancelled if it runs; a model that it became stays."""
    with transaction.atomic():
        before, row.state = row.state, ""
        _record(row, before, origin)
        row.delete()


def _is_there(row: Download) -> bool:
    return row.state == State.COMPLETED and ModelFolder.objects.filter(name=row.repository).exists()


def _record(row: Download, before: str, origin: Origin) -> None:
    old, new = ({"download": str(state), "revision": row.revision} if state else None for state in (before, row.state))
    record_change(What.MODEL, row.repository, old, new, origin)
    transaction.on_commit(tell)


def tell() -> None:
    async_to_sync(announce)(CHANGED, "downloads.changed")
    async_to_sync(announce)(NODES, "downloads.wanted")
