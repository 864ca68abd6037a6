"""The Users page, for operators."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fmlx_site.access import operators_only
from fmlx_site.audit import Origin, What
from fmlx_site.models import Change
from fmlx_site.users import changes
from fmlx_site.users.forms import UserForm
from fmlx_site.users.rights import RIGHTS, VIEWER

PAGE_LENGTH = 50
FEW = 20


@operators_only
@require_safe
def users(request: HttpRequest) -> HttpResponse:
    search = request.GET.get("q", "").strip()[:150]
    number = request.GET.get("page", "1")
    page = max(1, int(number)) if number.isascii() and number.isdigit() else 1
    start = (page - 1) * PAGE_LENGTH
    keys = Count("api_keys", filter=Q(api_keys__revoked_at=None))
    found = User.objects.filter(username__icontains=search).annotate(keys=keys)
    found = found.order_by("-is_active", "-is_superuser", "username").prefetch_related("user_permissions__content_type")
    rows = list(found[start : start + PAGE_LENGTH + 1])
    context = {
        "rows": [(user, _role(user)) for user in rows[:PAGE_LENGTH]],
        "search": search,
        "newer": page - 1,
        "older": page + 1 if len(rows) > PAGE_LENGTH else 0,
    }
    return render(request, "users/list.html", context)


def _role(user: User) -> changes.Role:
    """As `changes.role_of` has it, of what was read together with the list."""
    if user.is_superuser:
        return changes.Role.OPERATOR
    given = {f"{one.content_type.app_label}.{one.codename}" for one in user.user_permissions.all()} & set(RIGHTS)
    return changes.Role.VIEWER if given == VIEWER else changes.Role.CHOSEN


@operators_only
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def make(request: HttpRequest) -> HttpResponse:
    """The answer to the form is the only page that ever holds the password."""
    form = UserForm(request.POST or None)
    if not form.is_valid():
        return render(request, "users/form.html", {"form": form})
    user, password = changes.make(origin=Origin.of(request), **form.cleaned_data)
    return render(request, "users/made.html", {"person": user, "secret": password, "new": True})


@operators_only
@require_http_methods(["GET", "HEAD", "POST"])
def user(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(User, pk=pk)
    form = UserForm(request.POST or None, found)
    if form.is_valid():
        try:
            changed = changes.change(found, origin=Origin.of(request), **form.cleaned_data)
        except ValidationError as error:
            form.add_error("role", error)
        else:
            _tell(request, found, changed=changed)
            return redirect("user", pk)
    return render(request, "users/detail.html", {"person": found, "form": form, **_about(found)})


def _tell(request: HttpRequest, found: User, *, changed: bool) -> None:
    if changed:
        messages.success(request, _("What %(name)s may do was changed.") % {"name": found.username})
    else:
        messages.info(request, _("Nothing was different, so nothing was changed."))


def _about(found: User) -> dict[str, Any]:
    trail = Change.objects.filter(what=What.USER, name=found.username)
    keys: Any = found.api_keys
    return {"role": changes.role_of(found), "keys": keys.filter(revoked_at=None), "changes": trail[:FEW]}


@operators_only
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_password(request: HttpRequest, pk: int) -> HttpResponse:
    """A GET asks first: the old one is lost."""
    found = get_object_or_404(User, pk=pk)
    if request.method != "POST":
        return render(request, "users/confirm.html", {"person": found, "action": "password"})
    secret = changes.new_password(found, Origin.of(request))
    return render(request, "users/made.html", {"person": found, "secret": secret})


@operators_only
@require_http_methods(["GET", "HEAD", "POST"])
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """A GET asks first."""
    found = get_object_or_404(User, pk=pk)
    if request.method != "POST":
        return render(request, "users/confirm.html", {"person": found, "action": "close", **_about(found)})
    try:
        changes.close(found, Origin.of(request))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("user", pk)
    messages.success(request, _("%(name)s cannot log in any more.") % {"name": found.username})
    return redirect("users")


@operators_only
@require_POST
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(User, pk=pk)
    changes.reopen(found, Origin.of(request))
    messages.success(request, _("%(name)s can log in again.") % {"name": found.username})
    return redirect("user", pk)
