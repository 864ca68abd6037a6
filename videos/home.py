"""What the Home page shows of videos, and warns of."""

import shutil
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fmlx_site.home import PARTS, WATCHES, Concern, Part, Watch, once
from inference.home import found
from memory import gib
from videos import jobs
from videos.models import VideoJob
from videos.options import DISK_FLOOR_BYTES
from videos.pages import Card, with_files

SEE, MAKE = "videos.view_videojob", "videos.add_videojob"
RECENT = 4
DAY = timedelta(days=1)
# Each is a sentence that the demo models know in every language (demo_models/grammar.py).
EXAMPLES = (
    gettext_lazy("a red ball moves right on a black background"),
    gettext_lazy("a green square moves up on a gray background"),
    gettext_lazy("a yellow ball moves down on a blue background"),
)


def read(request: HttpRequest) -> dict[str, Any]:
    counts = once(request, "videos", _counts)
    rows = list(with_files(VideoJob.objects.order_by("-created_at", "-id"))[:RECENT])
    places = jobs.queue_positions(job.pk for job in rows if job.status == VideoJob.Status.QUEUED) if rows else {}
    cards = [Card(job, places.get(job.pk)) for job in rows]
    return {"queued": counts["queued"], "running": counts["running"], "cards": cards}


def _counts() -> dict[str, int]:
    lately = Q(status=VideoJob.Status.FAILED, completed_at__gte=timezone.now() - DAY)
    return VideoJob.objects.aggregate(
        queued=Count("id", filter=Q(status=VideoJob.Status.QUEUED)),
        running=Count("id", filter=Q(status=VideoJob.Status.IN_PROGRESS)),
        failed=Count("id", filter=lately & ~Q(error_code="cancelled")),
    )


def first_steps(request: HttpRequest) -> dict[str, Any]:
    return {"examples": EXAMPLES, "demo": found(request)["demo"]}


def look(request: HttpRequest) -> Iterable[Concern]:
    free, floor = shutil.disk_usage(settings.FMLX.home).free, DISK_FLOOR_BYTES.value
    if free <= floor:
        text = _("%(free)s of the disk is free and %(floor)s is kept, so no video is accepted.")
        yield Concern(
            "bad", text % {"free": gib(free), "floor": gib(floor)}, reverse("settings-group", args=["videos"])
        )
    if count := once(request, "videos", _counts)["failed"]:
        text = ngettext(
            "%(count)d video failed in the last 24 hours; it says why.",
            "%(count)d videos failed in the last 24 hours; each says why.",
            count,
        )
        yield Concern("warning", text % {"count": count}, reverse("videos"))


PARTS.append(Part("home/_first_steps.html", 10, MAKE, first_steps))
PARTS.append(Part("home/_videos.html", 40, SEE, read, live="/ws/videos/"))
WATCHES.append(Watch(SEE, look))
