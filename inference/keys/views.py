"""The Keys page."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from fmlx_site.access import allowed
from fmlx_site.audit import Origin, What
from fmlx_site.models import Change
from inference.keys import changes
from inference.keys.forms import KeyForm
from inference.keys.meter import running_now, used_now
from inference.models import ApiKey, RequestLog

ADD, CHANGE, VIEW = "inference.add_apikey", "inference.change_apikey", "inference.view_apikey"
FEW = 20


def visible_keys(user: Any) -> QuerySet[ApiKey]:
    """Everybody's for who may look at keys; else one's own."""
    keys = ApiKey.objects.select_related("owner")
    return keys if user.has_perm(VIEW) else keys.filter(owner=user)


@login_required
@require_safe
def keys(request: HttpRequest) -> HttpResponse:
    context = {"keys": visible_keys(request.user), "everybody": request.user.has_perm(VIEW)}
    return render(request, "keys/list.html", context)


@allowed(ADD)
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def make(request: HttpRequest) -> HttpResponse:
    """The answer to the form is the only page that ever holds the secret."""
    form = KeyForm(request.user, request.POST or None)
    if not form.is_valid():
        return render(request, "keys/form.html", {"form": form})
    key, secret = changes.make(request.user, Origin.of(request), **form.cleaned_data)
    return render(request, "keys/made.html", {"key": key, "secret": secret, "base": request.build_absolute_uri("/v1")})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def key(request: HttpRequest, pk: int) -> HttpResponse:
    """What a key may do and has used, and its form for who may change it."""
    found = get_object_or_404(visible_keys(request.user), pk=pk)
    may = request.user.has_perm(CHANGE) and found.revoked_at is None
    form = KeyForm(request.user, request.POST or None, found) if may else None
    if request.method == "POST" and form is not None and form.is_valid():
        changed = changes.change(found, Origin.of(request), **form.cleaned_data)
        text = _("The key was changed.") if changed else _("Nothing was different, so nothing was changed.")
        messages.add_message(request, messages.SUCCESS if changed else messages.INFO, text)
        return redirect("key", pk)
    return render(request, "keys/detail.html", {"key": found, "form": form, **_about(found, request.user)})


def _about(found: ApiKey, user: Any) -> dict[str, Any]:
    trail = Change.objects.filter(what=What.KEY, name__endswith=f"({found.prefix}…)")
    return {
        "used": used_now(found) if found.limited else [],
        "running": running_now(found) if found.concurrent_requests is not None else None,
        "requests": RequestLog.objects.filter(key=found).select_related("key")[:FEW],
        "changes": [(change, _differences(change)) for change in trail[:FEW]],
        "may_revoke": found.revoked_at is None and (user.has_perm(CHANGE) or found.owner_id == user.pk),
    }


def _differences(change: Change) -> list[tuple[str, Any, Any]]:
    """Each part that was changed: its name, what it was, what it is."""
    old, new = change.old or {}, change.new or {}
    return [(name, old.get(name), new.get(name)) for name in new if old.get(name) != new.get(name)]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """A GET asks first. Everybody may revoke their own."""
    usable = ApiKey.objects.all() if request.user.has_perm(CHANGE) else ApiKey.objects.filter(owner_id=request.user.pk)
    found = get_object_or_404(usable, pk=pk)
    if request.method != "POST":
        return render(request, "keys/revoke.html", {"key": found})
    if changes.revoke(found, Origin.of(request)):
        messages.success(request, _("%(name)s was revoked; it is refused from now on.") % {"name": found.name})
    return redirect("keys")
