"""The Models page. Plain forms and links; htmx and the socket only make them quicker."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from asgiref.sync import async_to_sync
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fmlx_site.access import allowed
from fmlx_site.audit import Origin
from fmlx_site.errors import FmlxError
from inference.catalog import read_catalog
from inference.downloads.forms import DownloadForm
from inference.library import decisions
from inference.library.forms import DecisionForm, PlaceForm, ProfileForm, labelled
from inference.library.rows import Row, read_row, read_shelf
from inference.library.words import for_scripts
from inference.models import Download, ModelFolder, ModelPlace
from inference.pool import pool_for
from inference.shelf import rescan_everywhere
from memory import read

log = structlog.get_logger(__name__)
SEE, DECIDE, FILE = "inference.view_modelfolder", "inference.change_modelsettings", "inference.change_modelfolder"
PATIENCE_SECONDS = 2.0  # what is refused is refused by then; a load goes on by itself
BY_HAND = "it was unloaded by hand"
T = TypeVar("T")
_working: set[asyncio.Task[Any]] = set()


@allowed(SEE)
@require_safe
def models(request: HttpRequest) -> HttpResponse:
    return models_page(request)


def models_page(
    request: HttpRequest,
    *,
    form: PlaceForm | None = None,
    download_form: DownloadForm | None = None,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    """With a form that was not understood, if one was sent."""
    number = request.GET.get("page", "1")
    page = max(1, int(number)) if number.isascii() and number.isdigit() else 1
    kind, search = request.GET.get("type", ""), request.GET.get("q", "")
    shelf = read_shelf(type_=kind, search=search, page=page)
    kinds = [(name, word, shelf.counts.get(name, 0)) for name, word in KINDS if shelf.counts.get(name)]
    context = {
        "shelf": shelf,
        "kinds": kinds,
        "kind": kind,
        "search": search,
        "places": ModelPlace.objects.all(),
        "form": form or PlaceForm(),
        "downloads": Download.objects.all(),
        "download_form": download_form or DownloadForm(),
        "words": for_scripts(),
        "may_decide": request.user.has_perm(DECIDE),
        "may_file": request.user.has_perm(FILE),
    }
    partial = bool(getattr(request, "htmx", False)) and request.method == "GET"
    return render(request, "models/_list.html" if partial else "models/list.html", context, status=status)


KINDS = [(str(name), word) for name, word in ModelFolder.Type.choices if name] + [
    ("skipped", gettext_lazy("not served"))
]


@allowed(SEE)
@require_safe
def row(request: HttpRequest, name: str) -> HttpResponse:
    """One model of the list, for a page that is open while it changes."""
    return render(request, "models/_row.html", {"row": read_row(name), **_rights(request)})


def _rights(request: HttpRequest) -> dict[str, bool]:
    return {"may_decide": request.user.has_perm(DECIDE), "may_file": request.user.has_perm(FILE)}


@allowed(SEE)
@require_http_methods(["GET", "HEAD", "POST"])
def model(request: HttpRequest, name: str) -> HttpResponse:
    """One model with its settings."""
    found = read_row(name)
    if request.method == "POST":
        return _decide(request, found)
    form = DecisionForm(found.folder, found.settings, readonly=not request.user.has_perm(DECIDE))
    return _detail(request, found, form)


def _detail(
    request: HttpRequest,
    found: Row,
    form: DecisionForm,
    status: int = HTTPStatus.OK,
    profile_form: ProfileForm | None = None,
) -> HttpResponse:
    chosen = request.GET.get("profile", "")
    known = found.settings.profiles.get(chosen)
    profile_form = profile_form or ProfileForm(initial={"name": chosen, **known} if known else None)
    context = {
        "row": found,
        "profiles": [(title, labelled(values)) for title, values in found.settings.profiles.items()],
        "form": form,
        "profile_form": profile_form,
        "words": for_scripts(),
        **_rights(request),
    }
    return render(request, "models/detail.html", context, status=status)


@allowed(DECIDE)
def _decide(request: HttpRequest, found: Row) -> HttpResponse:
    form = DecisionForm(found.folder, found.settings, request.POST)
    if not form.is_valid():
        return _detail(request, found, form, HTTPStatus.BAD_REQUEST)
    _tell(request, found.name, changed=decisions.decide(found.name, Origin.of(request), **form.decisions()))
    return redirect("model", found.name)


@allowed(DECIDE)
@require_POST
def profile(request: HttpRequest, name: str) -> HttpResponse:
    """Save a named profile; or remove the one that is named, or have it used when none is asked for."""
    found = read_row(name)
    origin, title = Origin.of(request), request.POST.get("title", "")
    if "remove" in request.POST:
        changed = decisions.drop_profile(name, title, origin)
    elif "use" in request.POST:
        changed = decisions.decide(name, origin, profile=title if title in found.settings.profiles else "")
    else:
        form = ProfileForm(request.POST)
        if not form.is_valid():
            decided = DecisionForm(found.folder, found.settings)
            return _detail(request, found, decided, HTTPStatus.BAD_REQUEST, profile_form=form)
        profiles = {**found.settings.profiles, form.cleaned_data["name"]: form.values}
        changed = decisions.decide(name, origin, profiles=profiles)
    _tell(request, name, changed=changed)
    return redirect(f"{reverse('model', args=[name])}#profiles")


def _tell(request: HttpRequest, name: str, *, changed: bool) -> None:
    if changed:
        messages.success(request, _("The settings of %(name)s were changed.") % {"name": name})
    else:
        messages.info(request, _("Nothing was different, so nothing was changed."))


@allowed(DECIDE)
@require_POST
def pin(request: HttpRequest, name: str) -> HttpResponse:
    found = read_row(name)
    _tell(request, name, changed=decisions.decide(name, Origin.of(request), pinned=not found.settings.pinned))
    return _back(request)


@allowed(DECIDE)
@require_POST
def default(request: HttpRequest, name: str) -> HttpResponse:
    found = read_row(name)
    _tell(request, name, changed=decisions.decide(name, Origin.of(request), default=not found.settings.default))
    return _back(request)


@allowed(DECIDE)
@require_POST
def load(request: HttpRequest, name: str) -> HttpResponse:
    """Begin it; what is refused at once is said at once, the rest is shown as it goes on."""
    try:
        done = async_to_sync(_load)(name)
    except FmlxError as error:
        messages.error(request, read(error.message))
    else:
        text = _("%(name)s is loaded.") if done else _("%(name)s is being loaded; the list shows how far it is.")
        messages.success(request, text % {"name": name})
    return _back(request)


async def _load(name: str) -> bool:
    """Is it loaded? If not, it is on its way."""
    found = (await read_catalog()).engine_model(name)
    task = _apart(pool_for(found).load(found))
    task.add_done_callback(_ended)
    await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
    if task.done():
        task.result()
    return task.done()


def _apart(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """In a context of its own: a request's is bound to its thread, which is gone when the request is answered, and the
    engine lives on.
    """
    task = asyncio.get_running_loop().create_task(work, context=Context())
    _working.add(task)
    task.add_done_callback(_working.discard)
    return task


def _ended(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.warning("A load that a page asked for failed.", reason=str(error))


@allowed(DECIDE)
@require_http_methods(["GET", "HEAD", "POST"])
def unload(request: HttpRequest, name: str) -> HttpResponse:
    """A GET asks first: requests on it are lost."""
    found = read_row(name)
    if request.method != "POST":
        return _confirm(request, found, "unload")
    try:
        done = async_to_sync(_unload)(name)
    except FmlxError as error:
        messages.error(request, read(error.message))
        return _back(request)
    text = _("%(name)s was unloaded.") if done else _("%(name)s was not loaded.")
    messages.success(request, text % {"name": name})
    return _back(request)


async def _unload(name: str) -> bool:
    found = (await read_catalog()).engine_model(name)
    return await _apart(pool_for(found).unload(found.name, BY_HAND))


@allowed(FILE)
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, name: str) -> HttpResponse:
    """A demo model, for good."""
    found = read_row(name)
    if request.method != "POST":
        return _confirm(request, found, "remove")
    try:
        if found.loaded:
            async_to_sync(_unload)(name)
        decisions.remove_demo(found.folder, Origin.of(request))
    except FmlxError as error:
        messages.error(request, read(error.message))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("%(name)s was removed from the disk.") % {"name": name})
    return _back(request)


@allowed(FILE)
@require_POST
def rescan(request: HttpRequest) -> HttpResponse:
    async_to_sync(rescan_everywhere)()
    messages.info(request, _("Every node is looking at its model folders now; what it finds shows here in a moment."))
    return redirect("models")


@allowed(FILE)
@require_POST
def add_folder(request: HttpRequest) -> HttpResponse:
    form = PlaceForm(request.POST)
    if form.is_valid():
        place = decisions.add_place(form.cleaned_data["path"], Origin.of(request))
        text = _("%(path)s is searched from now on; what is found shows here in a moment.")
        messages.success(request, text % {"path": place.path})
        return redirect("models")
    return models_page(request, form=form, status=HTTPStatus.BAD_REQUEST)


@allowed(FILE)
@require_http_methods(["GET", "HEAD", "POST"])
def drop_folder(request: HttpRequest, place_id: int) -> HttpResponse:
    place = get_object_or_404(ModelPlace, pk=place_id)
    if request.method != "POST":
        return confirm(request, {"action": "drop", "place": place})
    path = place.path
    decisions.drop_place(place, Origin.of(request))
    messages.success(request, _("%(path)s is not searched any more.") % {"path": path})
    return redirect("models")


def _confirm(request: HttpRequest, found: Row, action: str) -> HttpResponse:
    return confirm(request, {"action": action, "row": found})


def confirm(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    partial = bool(getattr(request, "htmx", False))
    return render(request, "models/_confirm.html" if partial else "models/confirm.html", context)


def _back(request: HttpRequest) -> HttpResponse:
    return redirect("models")
