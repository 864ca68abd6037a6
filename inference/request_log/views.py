"""The Requests and Usage pages. Who may not look at everybody's keys sees what their own keys asked."""

from datetime import UTC, datetime, time
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from inference.keys.views import VIEW, visible_keys
from inference.models import RequestLog
from inference.options import KEEP_BODIES
from inference.request_log import words
from inference.request_log.forms import RequestFilter, UsageFilter
from inference.request_log.usage import Step, Use, read_usage, totals

PAGE_LENGTH = 30


def visible_requests(user: Any) -> QuerySet[RequestLog]:
    """Those without a key, refused for it, are for who sees everybody's."""
    rows = RequestLog.objects.select_related("key")
    return rows if user.has_perm(VIEW) else rows.filter(key__owner=user)


@login_required
@require_safe
def requests(request: HttpRequest) -> HttpResponse:
    return render(request, "requests/list.html", {"words": words.for_scripts(), **_listed(request)})


@login_required
@require_safe
def rows(request: HttpRequest) -> HttpResponse:
    """The table again, for a page that is open while requests come."""
    return render(request, "requests/_rows.html", _listed(request))


def _listed(request: HttpRequest) -> dict[str, Any]:
    """Newest first; `before` is the row that the page begins under."""
    asked = RequestFilter(visible_keys(request.user), request.GET)
    found = asked.applied(visible_requests(request.user)).defer("body")
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit():
        found = found.filter(pk__lt=int(before))
    page = list(found[: PAGE_LENGTH + 1])
    chosen = urlencode({name: value for name, value in request.GET.items() if value and name != "before"})
    older = page[PAGE_LENGTH - 1].pk if len(page) > PAGE_LENGTH else None
    return {"filter": asked, "rows": page[:PAGE_LENGTH], "older": older, "chosen": chosen, "before": before}


@login_required
@require_safe
def one(request: HttpRequest, request_id: str) -> HttpResponse:
    found = get_object_or_404(visible_requests(request.user), request_id=request_id)
    return render(request, "requests/detail.html", {"row": found, "keeps": KEEP_BODIES.value == "on"})


@login_required
@require_safe
def usage(request: HttpRequest) -> HttpResponse:
    seen = visible_keys(request.user)
    asked = UsageFilter(seen, request.GET)
    asked.is_valid()
    given = asked.cleaned_data
    step: Step = "hour" if given.get("by") == "hour" else "day"
    keys = seen.filter(pk=given["key"]) if given.get("key") else seen
    since, until = given.get("since"), given.get("until")
    begin = datetime.combine(since, time.min, UTC) if since else None
    end = datetime.combine(until, time.max, UTC) if until else None
    uses = read_usage(keys, step, begin, end, given.get("model") or None)
    context = {"filter": asked, "uses": uses[::-1], "total": totals(uses), "by": step, "columns": _columns(uses)}
    return render(request, "requests/usage.html", {"words": words.for_scripts(), **context})


def _columns(uses: list[Use]) -> dict[str, list[float]]:
    """For the chart: a moment, requests, tokens in and out."""
    moments: dict[float, list[float]] = {}
    for use in uses:
        sums = moments.setdefault(use.at.timestamp(), [0, 0, 0])
        for place, value in enumerate((use.requests, use.prompt_tokens, use.completion_tokens)):
            sums[place] += value
    names = ("requests", "prompt", "completion")
    return {
        "at": list(moments),
        **{name: [sums[place] for sums in moments.values()] for place, name in enumerate(names)},
    }
