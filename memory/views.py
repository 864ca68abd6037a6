"""The Memory page, and what it fetches while it is open."""

from datetime import timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from fmlx_site.access import allowed
from fmlx_site.errors import FmlxError
from memory import words
from memory.api import read_samples
from memory.fit import QUESTIONS, Answer, Question, answers
from memory.models import Event
from memory.pages import read_state

SEE = "memory.view_lease"
MOST_MARKS = 1000  # on the chart
SPANS = {"5m": (timedelta(minutes=5), 1), "1h": (timedelta(hours=1), 1)} | {
    "48h": (timedelta(hours=48), 60),
    "30d": (timedelta(days=30), 3600),
}


@allowed(SEE)
@require_safe
def memory(request: HttpRequest) -> HttpResponse:
    context = {"state": read_state(request.GET.get("node")), "words": words.for_scripts(), **_fit(request)}
    return render(request, "memory/memory.html", context)


@allowed(SEE)
@require_safe
def state(request: HttpRequest) -> HttpResponse:
    """Figures, leases and events, for a page that is open while they change."""
    return render(request, "memory/_state.html", {"state": read_state(request.GET.get("node"))})


@allowed(SEE)
@require_safe
def fit(request: HttpRequest) -> HttpResponse:
    return render(request, "memory/_fit.html", _fit(request))


def _fit(request: HttpRequest) -> dict[str, Any]:
    """Every question; the one that was asked with its answers."""
    asked = request.GET.get("question")
    shown = []
    for name, question in QUESTIONS.items():
        form = question.form(request.GET if name == asked else None)
        given = _answers(question, form) if name == asked and form.is_valid() else None
        shown.append({"name": name, "title": question.title, "form": form, "answers": given})
    return {"questions": shown}


def _answers(question: Question, form: forms.Form) -> list[Answer] | None:
    """None, and the reason on the form, for what this server does not do at all."""
    try:
        return answers(question, form)
    except FmlxError as error:
        form.add_error(error.param if error.param in form.fields else None, error.message)
        return None


@allowed(SEE)
@require_safe
def samples(request: HttpRequest) -> HttpResponse:
    """`?span=5m|1h|48h|30d`: columns for the chart, and the events that are marks on it."""
    span, resolution = SPANS.get(request.GET.get("span", ""), SPANS["5m"])
    since = timezone.now() - span
    try:
        columns = read_samples(since, None, resolution, request.GET.get("node"))
    except FmlxError as error:
        return JsonResponse({"error": {"message": error.message, "code": error.code}}, status=error.status)
    marks = [_mark(event) for event in Event.objects.filter(node__name=columns.node, at__gte=since)[:MOST_MARKS]]
    return JsonResponse({**columns.model_dump(mode="json"), "events": marks})


def _mark(event: Event) -> dict[str, Any]:
    shown = {"id": event.pk, "at": event.at.isoformat(), "what": event.what, "holder": event.holder}
    return {**shown, "message": event.sentence}
