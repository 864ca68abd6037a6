"""What the Home page shows of memory, and warns of."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fmlx_site.home import PARTS, WATCHES, Concern, Part, Watch, once
from memory.models import Event, Lease, Node

SEE = "memory.view_lease"
SILENT_SECONDS = 10.0  # ten missed heartbeats, as `readyz` has it
HOUR = timedelta(hours=1)


def read(request: HttpRequest) -> dict[str, Any]:
    leases = list(Lease.objects.order_by("node__name", "id"))
    nodes = _nodes(request)
    rows = []
    for node in nodes:
        held = [lease for lease in leases if lease.node_id == node.pk]
        promised = sum(lease.bytes for lease in held)
        free = max(0, node.ceiling_bytes - promised)
        rows.append({"node": node, "leases": held, "promised": promised, "free": free})
    return {"rows": rows}


def _nodes(request: HttpRequest) -> list[Node]:
    return once(request, "nodes", lambda: list(Node.objects.order_by("name")))


def look(request: HttpRequest) -> Iterable[Concern]:
    nodes = _nodes(request)
    if not nodes:
        yield Concern("bad", _("No node has run yet, so nothing can be made."), command="manage.py serve")
    for node in nodes:
        yield from _of_node(node)
    yield from _of_the_last_hour()


def _of_node(node: Node) -> Iterable[Concern]:
    silent = (timezone.now() - node.heartbeat_at).total_seconds()
    if silent > SILENT_SECONDS:
        text = ngettext(
            "The node %(name)s has been silent for %(seconds)d second; what it would make waits.",
            "The node %(name)s has been silent for %(seconds)d seconds; what it would make waits.",
            int(silent),
        )
        yield Concern("bad", text % {"name": node.name, "seconds": int(silent)}, command="manage.py runworkers")
    for name, runtime in node.runtimes.items():
        if not runtime.get("ok"):
            text = _("The runtime %(runtime)s of %(name)s does not work, so its models are not served.")
            figures = {"runtime": name, "name": node.name}
            yield Concern("bad", text % figures, reverse("memory"), runtime.get("mend_command", ""))


def _of_the_last_hour() -> Iterable[Concern]:
    grave = (Event.What.KILLED, Event.What.SHORT)
    lately = Event.objects.filter(at__gte=timezone.now() - HOUR, what__in=grave).order_by()
    counts = dict(lately.values_list("what").annotate(count=Count("id")))
    if killed := counts.get(Event.What.KILLED):
        text = ngettext(
            "The watchdog ended %(count)d worker in the last hour.",
            "The watchdog ended %(count)d workers in the last hour.",
            killed,
        )
        yield Concern("warning", text % {"count": killed}, reverse("memory"))
    if counts.get(Event.What.SHORT):
        yield Concern("warning", _("More memory was promised than there is; workers were ended."), reverse("memory"))


PARTS.append(Part("home/_memory.html", 20, SEE, read, live="/ws/memory/"))
WATCHES.append(Watch(SEE, look))
