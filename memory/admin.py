from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from fmlx_site.admin import ReadOnlyAdmin
from fmlx_site.audit import Origin, Source, What, record_change
from memory.identity import here
from memory.ledger import Ledger
from memory.models import Event, Lease, Node, Sample, Summary, Tally
from memory.processes import ProcessGroup, process


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    list_display = ("name", "pid", "started_at", "heartbeat_at", "ceiling_bytes")
    search_fields = ("name", "place")


def is_over(lease: Lease) -> bool:
    """Whether the process that it was promised to is gone, as far as this machine can tell. Never by a guess: memory
    that is still held would be promised a second time.
    """
    if lease.node.place != here():
        return False
    if lease.pid is None or lease.pid_started is None:
        return process(lease.node.pid) is None  # nobody is left who would start its worker
    return not ProcessGroup(lease.pid, lease.pid_started).members()


@admin.register(Lease)
class LeaseAdmin(ReadOnlyAdmin):
    list_display = ("kind", "holder", "node", "bytes", "footprint_bytes", "peak_bytes", "state", "pid", "created_at")
    list_filter = ("node", "state", "kind", "pinned")
    search_fields = ("holder",)
    list_select_related = ("node",)
    actions = ("release",)

    @admin.action(description=_("Release the selected leases whose process is gone"), permissions=["view"])
    def release(self, request: HttpRequest, queryset: QuerySet[Lease]) -> None:
        if not request.user.has_perm("memory.delete_lease"):
            raise PermissionDenied
        over = [lease for lease in queryset.select_related("node") if is_over(lease)]
        for lease in over:
            record_change(What.LEASE, lease.holder, {"bytes": lease.bytes}, None, Origin.of(request, Source.ADMIN))
            Ledger(lease.node_id).release(lease)
        kept = queryset.count()
        if over:
            text = ngettext("%(count)d lease was released.", "%(count)d leases were released.", len(over))
            self.message_user(request, text % {"count": len(over)})
        if kept:
            text = ngettext(
                "%(count)d lease was kept: its process still runs here, or is another machine's to see.",
                "%(count)d leases were kept: their processes still run here, or are another machine's to see.",
                kept,
            )
            self.message_user(request, text % {"count": kept}, messages.WARNING)


@admin.register(Sample)
class SampleAdmin(ReadOnlyAdmin):
    list_display = ("at", "node", "kind", "holder", "footprint_bytes", "lease_bytes", "available_bytes")
    list_filter = ("node", "kind")
    search_fields = ("holder",)
    list_select_related = ("node",)
    ordering = ("-id",)


@admin.register(Summary)
class SummaryAdmin(ReadOnlyAdmin):
    list_display = ("at", "seconds", "node", "kind", "holder", "mean_bytes", "max_bytes", "lease_bytes")
    list_filter = ("node", "seconds", "kind")
    search_fields = ("holder",)
    list_select_related = ("node",)
    ordering = ("-id",)


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("at", "node", "what", "kind", "holder", "bytes", "message")
    list_filter = ("node", "what", "kind")
    search_fields = ("holder", "message")
    list_select_related = ("node",)
    ordering = ("-id",)


@admin.register(Tally)
class TallyAdmin(ReadOnlyAdmin):
    list_display = ("node", "what", "count")
    list_select_related = ("node",)
    list_filter = ("node",)
