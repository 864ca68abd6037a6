"""The Settings page and the audit trail."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fmlx_site import option_store
from fmlx_site.access import allowed
from fmlx_site.audit import Origin, Source
from fmlx_site.forms import AuditFilter, GroupForm, ImportForm
from fmlx_site.models import Change
from fmlx_site.options import OPTIONS, Group, Option, groups, of_group
from fmlx_site.templatetags.audit_words import facts

CHANGE = "fmlx_site.change_storedoption"
VIEW = "fmlx_site.view_storedoption"
PAGE_LENGTH = 50


@allowed(VIEW)
@require_http_methods(["GET", "HEAD", "POST"])
def settings(request: HttpRequest, name: str = "memory") -> HttpResponse:
    """One group of settings, and its form for who may change them."""
    option_store.load()
    group = _group(name)
    if request.method == "POST":
        return _save(request, group)
    return _page(request, group, GroupForm(group, readonly=not request.user.has_perm(CHANGE)))


@allowed(CHANGE)
def _save(request: HttpRequest, group: Group) -> HttpResponse:
    form = GroupForm(group, request.POST)
    changed = form.save(Origin.of(request)) if form.is_valid() else None
    if changed is None:
        return _page(request, group, form)
    _tell(request, changed)
    return redirect("settings-group", group.name)


def _page(request: HttpRequest, group: Group, form: GroupForm, upload: ImportForm | None = None) -> HttpResponse:
    upload = upload or ImportForm()
    context = {"groups": groups(), "group": group, "form": form, "upload": upload, "may": request.user.has_perm(CHANGE)}
    return render(request, "settings/settings.html", context)


def _group(name: str) -> Group:
    found = next((group for group in groups() if group.name == name), None)
    if found is None:
        raise Http404
    return found


def _tell(request: HttpRequest, changed: list[Change]) -> None:
    count = len(changed)
    text = ngettext("%(count)d setting was changed.", "%(count)d settings were changed.", count) % {"count": count}
    if not count:
        text = _("Nothing was different, so nothing was changed.")
    messages.add_message(request, messages.SUCCESS if count else messages.INFO, text)


@allowed(CHANGE)
@require_http_methods(["GET", "HEAD", "POST"])
def reset(request: HttpRequest, target: str) -> HttpResponse:
    """Ask first, then give one option, a group, or all their defaults back. `target` names it, or is `all`."""
    option_store.load()
    going = _targets(target)
    back = going[0].group.name
    if request.method == "POST":
        try:
            _tell(request, option_store.reset([option.name for option in going], Origin.of(request)))
        except ValidationError as error:
            messages.error(request, " ".join(error.messages))
        return redirect("settings-group", back)
    rows = [(option, option.in_words(option.stored), option.in_words(option.default)) for option in going]
    differing = [row for row in rows if row[0].stored != row[0].default]
    return render(request, "settings/reset.html", {"rows": differing, "target": target, "back": back})


def _targets(target: str) -> list[Option[Any]]:
    if target == "all":
        return list(OPTIONS.values())
    return [OPTIONS[target]] if target in OPTIONS else of_group(_group(target))


@allowed(VIEW)
@require_safe
def export(request: HttpRequest) -> HttpResponse:
    option_store.load()
    headers = {"Content-Disposition": 'attachment; filename="fmlx-settings.json"'}
    return HttpResponse(option_store.exported(), content_type="application/json; charset=utf-8", headers=headers)


@allowed(CHANGE)
@require_POST
def import_file(request: HttpRequest) -> HttpResponse:
    upload = ImportForm(request.POST, request.FILES)
    group = _group("memory")
    if upload.is_valid():
        try:
            changed = option_store.import_text(upload.cleaned_data["file"], Origin.of(request, Source.IMPORT))
        except ValidationError as error:
            upload.add_error("file", _sentences(error))
        else:
            _tell(request, changed)
            return redirect("settings")
    return _page(request, group, GroupForm(group), upload)


def _sentences(error: ValidationError) -> list[str]:
    """What is wrong, each with the name of the option it is about."""
    if not hasattr(error, "error_dict"):
        return list(error.messages)
    return [f"{name}: {' '.join(why)}" for name, why in error.message_dict.items()]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the audit trail, its values in words."""

    change: Change
    label: str
    old: str
    new: str

    @classmethod
    def of(cls, change: Change) -> "Entry":
        option = OPTIONS.get(change.name) if change.what == Change.What.SETTING else None
        if option is None:
            return cls(change, change.name, facts(change.old), facts(change.new))
        return cls(change, str(option.label), option.in_words(change.old), option.in_words(change.new))


@allowed("fmlx_site.view_change")
@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """Every change, newest first, by page and by filter."""
    asked = AuditFilter(request.GET)
    number = request.GET.get("page", "1")
    page = max(1, int(number)) if number.isascii() and number.isdigit() else 1
    start = (page - 1) * PAGE_LENGTH
    changes = list(asked.applied(Change.objects.all())[start : start + PAGE_LENGTH + 1])
    chosen = urlencode({name: value for name, value in request.GET.items() if value and name != "page"})
    context = {
        "filter": asked,
        "filtered": bool(chosen),
        "chosen": chosen,
        "entries": [Entry.of(change) for change in changes[:PAGE_LENGTH]],
        "newer": page - 1,
        "older": page + 1 if len(changes) > PAGE_LENGTH else 0,
    }
    return render(request, "settings/audit.html", context)
