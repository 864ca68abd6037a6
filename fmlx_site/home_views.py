"""The Home page."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from fmlx_site import home as home_parts

WORDS = {"status": {}, "phase": {}, "say": {"promised": _("{0} of {1} promised to workers")}}


@login_required
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    context = {"words": WORDS, "sockets": home_parts.sockets(request), **_read(request)}
    return render(request, "home/home.html", context)


@login_required
@require_safe
def parts(request: HttpRequest) -> HttpResponse:
    """For a page that is open while things change."""
    return render(request, "home/_parts.html", _read(request))


def _read(request: HttpRequest) -> dict[str, Any]:
    rendered = [render_to_string(template, context, request) for template, context in home_parts.parts(request)]
    return {"concerns": home_parts.concerns(request), "parts": rendered}
