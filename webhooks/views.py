"""The Webhooks pages: who hears of which key's jobs, and what became of every delivery."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fmlx_site.audit import Origin
from fmlx_site.errors import FmlxError
from inference.keys.views import CHANGE, visible_keys
from inference.models import ApiKey
from webhooks import deliveries, endpoints
from webhooks.errors import StillOnItsWay
from webhooks.forms import WebhookForm
from webhooks.models import Delivery, Endpoint
from webhooks.signing import secret_of
from webhooks.telling import tell_test

LATEST = 100


def _own_keys(user: Any) -> QuerySet[ApiKey]:
    """Those that a user may make webhooks for."""
    return ApiKey.objects.all() if user.has_perm(CHANGE) else ApiKey.objects.filter(owner=user)


def _may_change(user: Any, endpoint: Endpoint) -> bool:
    return bool(user.has_perm(CHANGE) or endpoint.key.owner_id == user.pk)


def _visible(request: HttpRequest, pk: str) -> Endpoint:
    mine = Endpoint.objects.filter(key__in=visible_keys(request.user)).select_related("key", "key__owner")
    return get_object_or_404(mine, pk=pk)


def _changeable(request: HttpRequest, pk: str) -> Endpoint:
    endpoint = _visible(request, pk)
    if not _may_change(request.user, endpoint):
        raise PermissionDenied
    return endpoint


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def webhooks(request: HttpRequest) -> HttpResponse:
    """The list, and the form that adds to it. The answer to the form shows the secret."""
    form = WebhookForm(_own_keys(request.user), request.POST or None)
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        try:
            made = endpoints.make(asked["key"], asked["url"], asked["events"], Origin.of(request))
        except FmlxError as error:
            form.add_error(error.param, error.message)
        else:
            return _with_secret(request, made)
    rows = Endpoint.objects.filter(key__in=visible_keys(request.user)).select_related("key")
    counted = rows.annotate(
        pending=Count("deliveries", filter=Q(deliveries__state=Delivery.State.PENDING)),
        given_up=Count("deliveries", filter=Q(deliveries__state=Delivery.State.GIVEN_UP)),
    )
    return render(request, "webhooks/list.html", {"endpoints": counted, "form": form})


def _with_secret(request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
    return render(request, "webhooks/made.html", {"endpoint": endpoint, "secret": secret_of(endpoint)})


@login_required
@require_safe
def webhook(request: HttpRequest, pk: str) -> HttpResponse:
    endpoint = _visible(request, pk)
    log = endpoint.deliveries.prefetch_related("log")[:LATEST]
    may = _may_change(request.user, endpoint)
    return render(request, "webhooks/detail.html", {"endpoint": endpoint, "deliveries": log, "may_change": may})


@login_required
@require_POST
def test(request: HttpRequest, pk: str) -> HttpResponse:
    tell_test(_changeable(request, pk))
    messages.success(request, _("A test is on its way; what becomes of it shows below."))
    return redirect("webhook", pk)


@login_required
@never_cache
@require_POST
def renew_secret(request: HttpRequest, pk: str) -> HttpResponse:
    return _with_secret(request, endpoints.renew_secret(_changeable(request, pk), Origin.of(request)))


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, pk: str) -> HttpResponse:
    """A GET asks first."""
    endpoint = _changeable(request, pk)
    if request.method != "POST":
        return render(request, "webhooks/remove.html", {"endpoint": endpoint})
    endpoints.remove(endpoint, Origin.of(request))
    messages.success(request, _("The webhook was removed."))
    return redirect("webhooks")


@login_required
@require_POST
def replay(request: HttpRequest, pk: str, event_id: str) -> HttpResponse:
    delivery = get_object_or_404(_changeable(request, pk).deliveries, event_id=event_id)
    try:
        deliveries.replay(delivery)
    except StillOnItsWay:
        messages.info(request, _("It is on its way already."))
    else:
        messages.success(request, _("It is sent once more, under the same id."))
    return redirect("webhook", pk)
